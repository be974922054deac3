"""Our models in lm-evaluation-harness: its tasks, its evaluator and its command line, our endpoints.

    python -m eval_anything.lm_eval run --model eval-anything --model_args spec=openai/NAME --tasks gsm8k

is lm-evaluation-harness's own command line with our model in it: it finds models by its registry alone, not
by entry points. From Python, `register()` puts it there, and `model.EvalAnythingLM` is the class.
(The other way round, `eval-anything run --tasks lm_eval:NAME` runs its tasks in our runs.)
"""

from __future__ import annotations

from eval_anything.errors import MissingExtra

NAME = "eval-anything"
"""What --model calls it."""


def register() -> None:
    """Make lm-evaluation-harness know the model. Raises MissingExtra where that is not installed."""
    try:
        # The registry takes itself for complete once anything is in it: its own models come first.
        import lm_eval.models  # noqa: F401
        from lm_eval.api.registry import MODEL_REGISTRY, register_model
    except ImportError as fault:
        raise MissingExtra(
            f"lm-evaluation-harness lacks {fault.name}: pip install 'eval-anything[lm-eval]'"
        ) from None
    from eval_anything.lm_eval.model import EvalAnythingLM

    if NAME not in MODEL_REGISTRY:
        register_model(NAME)(EvalAnythingLM)
