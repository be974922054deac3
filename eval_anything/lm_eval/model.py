"""`--model eval-anything` of lm-evaluation-harness: any model of ours behind our endpoint."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm

from eval_anything.errors import UsageError
from eval_anything.lm_eval import media
from eval_anything.lm_eval.asking import Asker
from eval_anything.lm_eval.prompts import Turns, as_turns, cut, messages, params
from eval_anything.registry import Plugins
from eval_anything.run.endpoint import Endpoint, make_endpoint
from eval_anything.values import Message, Origin, Request, Response, Text

log = logging.getLogger(__name__)
_CONCURRENCY = 32
_THEIR_DEFAULTS = {"batch_size": 1, "device": "cuda:0", "max_batch_size": None}
_OPEN: list["EvalAnythingLM"] = []


class EvalAnythingLM(LM):  # type: ignore[misc]
    """A model of ours as lm-evaluation-harness has models.

        model = EvalAnythingLM("openai/NAME", base_url="http://localhost:8000/v1")
        lm_eval.simple_evaluate(model, tasks=["gsm8k"])

    Requests go through an endpoint: limits, retries, and with `cache` a store of answers. What the model
    cannot do is said before the first request of that kind is asked. A request that fails for good ends the
    evaluation: no outage is taken for an answer.
    """

    def __init__(
        self, spec: str, *, cache: str | Path | None = None, include: str = "", **options: Any
    ) -> None:
        """`spec`: as --model of `eval-anything run`; `options`: as its -M. `cache`: a folder of answers,
        which several evaluations may share. `include`: a file or folder with providers of your own.

        Raises UsageError where the model cannot be had.
        """
        super().__init__()
        plugins = Plugins([include] if include else [])
        self.endpoint: Endpoint = make_endpoint(plugins, spec, options, _CONCURRENCY, "--model_args")
        self._able = self.endpoint.capabilities()
        if "text" not in self._able.outputs:
            makes = ", ".join(self._able.outputs)
            raise UsageError(f"{spec} makes {makes}; lm-evaluation-harness asks for words")
        self._asker = Asker(self.endpoint, None if cache is None else Path(cache).expanduser())
        _OPEN.append(self)

    def close(self) -> None:
        """Stop the model; it cannot be asked any more. To be called before the interpreter ends, when threads
        can no longer be started: `close_all` does it for models that lm-evaluation-harness has made."""
        self._asker.close()
        if self in _OPEN:
            _OPEN.remove(self)

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> "EvalAnythingLM":
        """`additional_config` has --batch_size and --device, whose defaults cannot be told from a choice:
        they are not read, and it is said where they are no defaults."""
        for name, value in (additional_config or {}).items():
            if value not in (None, _THEIR_DEFAULTS.get(name)):
                log.warning("--%s is not read: write %s=%s into --model_args", name, name, value)
        if "spec" not in arg_dict:
            raise UsageError("--model eval-anything: which one? --model_args spec=PROVIDER/NAME")
        return cls(**arg_dict)

    @classmethod
    def create_from_arg_string(
        cls, arg_string: str, additional_config: dict[str, Any] | None = None
    ) -> "EvalAnythingLM":
        from lm_eval.utils import simple_parse_args_string

        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    @property
    def MULTIMODAL(self) -> bool:
        """Whether tasks with images or sounds may be asked at all."""
        return bool({"image", "audio"}.intersection(self._able.inputs))

    def get_model_info(self) -> dict[str, Any]:
        """What decides the answers, for the results."""
        return {"eval_anything": self.endpoint.identity()}

    @property
    def tokenizer_name(self) -> str:
        """Part of the key of prompts that lm-evaluation-harness caches: no model's template is in them."""
        return "eval-anything"

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The turns as they are: the provider puts its model's template around them."""
        if not self._able.chat:
            raise UsageError(f"{self.endpoint.label} has no chat template: give one (chat_template=FILE)")
        return as_turns(chat_history, add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str:
        if isinstance(chat_template, str):
            raise UsageError("--apply_chat_template takes no name: option chat_template of hf/ names a file")
        return ""

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        asked = self._asked(requests, lambda arguments: {"params": params(arguments[1])})
        return self._answers("generate_until", requests, asked, _text, disable_tqdm)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        asked = self._asked(requests, lambda arguments: {"continuation": arguments[1]})
        self._check_likelihood(asked)
        return self._answers("loglikelihood", requests, asked, _likelihood, disable_tqdm)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        asked = [
            Request(messages=(), plain=True, continuation=instance.args[0], origin=_origin(instance))
            for instance in requests
        ]
        self._check_likelihood(asked)
        return self._answers(
            "loglikelihood_rolling", requests, asked, lambda *of: _likelihood(*of)[0], disable_tqdm
        )

    def _asked(
        self, instances: Sequence[Instance], more: Callable[[tuple[Any, ...]], Mapping[str, Any]]
    ) -> list[Request]:
        """Raises UsageError for what the model cannot be asked; nothing has been asked then."""
        draws: Counter[int] = Counter()
        asked = []
        for instance in instances:
            context, *_ = instance.args
            plain = not isinstance(context, Turns)
            if plain and not self._able.plain:
                raise UsageError(
                    f"{self.endpoint.label} takes no plain prompts: --apply_chat_template is needed"
                )
            asked.append(
                Request(
                    messages=self._with_media(messages(context), instance.args[2:], plain),
                    plain=plain,
                    draw=draws[id(instance)],  # the same one again and again where a task has repeats
                    origin=_origin(instance),
                    **more(instance.args),
                )
            )
            draws[id(instance)] += 1
        return asked

    def _with_media(
        self, turns: tuple[Message, ...], more: tuple[Any, ...], plain: bool
    ) -> tuple[Message, ...]:
        found = media.given(more[0]) if more else {}
        if not found:
            return turns
        for modality in found:
            if modality not in self._able.inputs:
                takes = ", ".join(self._able.inputs)
                raise UsageError(f"{self.endpoint.label} does not take {modality} (it takes {takes})")
        most = self._able.max_images
        if most is not None and len(found.get("image", ())) > most:
            raise UsageError(
                f"{self.endpoint.label} takes {most} images at most, a task has more in one prompt"
            )
        if plain:
            raise UsageError("media are parts of messages: --apply_chat_template is needed")
        return media.placed(turns, found, self._asker.store)

    def _check_likelihood(self, asked: Sequence[Request]) -> None:
        label, able = self.endpoint.label, self._able.likelihood
        if not able:
            raise UsageError(
                f"{label} does not tell the likelihoods of given texts; hf/ checkpoints do, and openai/"
                " servers that echo prompts with log-probabilities (vLLM)"
            )
        if able == "all":
            return
        if not all(request.plain for request in asked):
            raise UsageError(
                f"{label} tells likelihoods after plain prompts, without --apply_chat_template, alone"
            )
        for request in asked:
            prompt = "".join(p.text for m in request.messages for p in m.parts if isinstance(p, Text))
            if not prompt.strip():
                raise UsageError(f"{label} does not tell the likelihoods of texts that stand by themselves")

    def _answers(
        self,
        kind: str,
        instances: Sequence[Instance],
        asked: Sequence[Request],
        read: Callable[[Request, Response], Any],
        disable_tqdm: bool,
    ) -> list[Any]:
        found: dict[int, Any] = {}
        with tqdm(total=len(asked), desc=f"Running {kind} requests", disable=disable_tqdm) as bar:

            def heard(number: int, response: Response) -> None:
                found[number] = read(asked[number], response)
                if not asked[number].params.temperature:  # --use_cache keeps no draws either
                    self.cache_hook.add_partial(kind, instances[number].args, found[number])
                bar.update()

            self._asker.ask(asked, heard)
        return [found[number] for number in range(len(asked))]


def close_all() -> None:
    """Stop all models that are still open."""
    for model in list(_OPEN):
        model.close()


def _text(request: Request, response: Response) -> str:
    return cut(response.text, request.params.stop)


def _likelihood(request: Request, response: Response) -> tuple[float, bool]:
    assert response.likelihood is not None, "what providers promise for requests with a continuation"
    return response.likelihood.logprob, response.likelihood.greedy


def _origin(instance: Instance) -> Origin:
    return Origin(str(instance.task_name), f"{instance.doc_id}/{instance.idx}")
