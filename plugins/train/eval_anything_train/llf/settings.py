"""What `train llf` is told. Nothing here imports torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec

from eval_anything.values import Modality
from eval_anything_train.settings import Common, Count, NotNegative, Positive, TooLong

Stage = Literal["feedback", "respond", "critique", "refine", "compare", "pairs", "train"]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""In their order."""
TRAINED, NONE = "train", "none"
"""What `feedback_model` may be besides a model."""

Part = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How answers are drawn. The defaults are the paper's."""

    temperature: NotNegative = 1.0
    """0: the likeliest token each time."""
    repetition_penalty: Positive = 1.1
    """Divides the logits of tokens that are there already. 1: none, and nothing is sent: only transformers
    and vLLM know it."""
    max_tokens: Count = 2048
    """Tokens of an answer at most."""


class Refining(Sampling, frozen=True, kw_only=True):
    """Refined answers may be longer."""

    max_tokens: Count = 4096
    """Tokens of an answer at most."""


class LLFSettings(Common, frozen=True, kw_only=True):
    """Settings of a training are given by its name (`dpo`), as `eval-anything train dpo` has them."""

    data: str
    """Pairs with language feedback: the feedback model learns from it, and the prompts are answered. Where
    another writes the feedback, prompts are enough. `eval-anything train --help` has all forms."""
    stages: tuple[Stage, ...] = STAGES
    """What is to be done, of: feedback, respond, critique, refine, compare, pairs, train. What comes before
    must be there already."""
    then: Literal["dpo", "ppo"] = "dpo"
    """What the pairs are for: dpo, or a reward model and ppo."""
    feedback_model: str = TRAINED
    """Who writes the feedback. train: a model that the stage feedback trains; none: nobody, the model just
    answers again; else a checkpoint, or a model as `eval-anything run` names it (openai/gpt-4o)."""
    feedback_options: dict[str, Any] = {}
    """Options of that model (base_url=...), as -M of `run`."""
    feedback_share: Part = 1.0
    """Share of the rows with feedback that the feedback model learns from. A larger share holds a smaller."""
    instruct: bool | None = None
    """Tell the feedback model what feedback is; one that was trained for it must not be told. By default,
    models behind an API are."""
    prompt_data: str = ""
    """Data set whose prompts are answered; those of `data` unless given."""
    generator: str = ""
    """Who answers in place of the checkpoint in process: openai/NAME, a server of the same weights."""
    generator_options: dict[str, Any] = {}
    """Options of the model that answers (base_url=..., batch_size=...), as -M of `run`."""
    outputs: tuple[Modality, ...] = ("text",)
    """What answers may hold."""
    respond: Sampling = Sampling()
    """How first answers are drawn."""
    critique: Sampling = Sampling()
    """How feedback is drawn."""
    refine: Refining = Refining()
    """How refined answers are drawn."""
    templates: str = ""
    """Folder whose files (refine.md, alone.md, instruct.md, compare.md) replace our prompts."""
    compare: str = ""
    """Judge that compares refined with first answers: a model that sees what the prompts hold, or reference
    (offline, with synthetic data). None: stage compare is left out."""
    compare_options: dict[str, Any] = {}
    """Options of that judge."""
    only_preferred: bool = False
    """Keep only the pairs of which that judge prefers the refined answer."""
    keep_truncated: bool = False
    """Keep the pairs whose refined answer was cut at its token limit."""
    too_long: TooLong = "skip"
    """A record that is too long for a training: error, cut or skip. How long an answer becomes nobody knows
    beforehand."""
    concurrency: Count = 32
    """Requests in flight at most."""
    error_budget: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    """Largest share of failed answers with which a stage still counts as done."""
    cache: str = ""
    """Folder of the response cache."""
    feedback: dict[str, Any] = {}
    """Settings of the feedback model's training, as of `train feedback`: lr=1e-6 epochs=3."""
    dpo: dict[str, Any] = {}
    """Settings of `train dpo`."""
    reward: dict[str, Any] = {}
    """Settings of `train reward`."""
    ppo: dict[str, Any] = {}
    """Settings of `train ppo`."""
