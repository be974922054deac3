"""Batched generation: prompts and decoding parameters in, texts with their finish and token counts out."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eval_anything.errors import BadRequest
from eval_anything.models.hf.load import Opened
from eval_anything.models.hf.prompt import Prompt, Prompter, placeholder_tokens
from eval_anything.models.hf.sampling import GumbelSampler
from eval_anything.values import Params

DEFAULT_MAX_TOKENS = 1024


@dataclasses.dataclass(frozen=True)
class Job:
    prompt: Prompt
    params: Params
    seed: int
    """Of this row's sampling; unused at temperature 0."""

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Jobs of one key can share a batch."""
        p = self.params
        extra = repr(sorted(p.extra.items()))
        return (p.temperature, p.top_p, p.top_k, p.max_tokens, p.stop, extra, self.prompt.batch_key)


@dataclasses.dataclass(frozen=True)
class Answer:
    text: str
    input_tokens: int
    output_tokens: int
    truncated: bool


class Generator:
    """One loaded model. `run` is for one thread at a time."""

    def __init__(self, opened: Opened, model: Any, prompter: Prompter) -> None:
        self.model = model
        self.tokenizer = opened.tokenizer
        self.prompter = prompter
        self.ends = end_tokens(model.generation_config, opened.tokenizer)
        self.suppressed = _suppressed(opened, model)
        self.context = context_length(opened)

    def run(self, jobs: list[Job]) -> list[Answer]:
        """Generate for `jobs` of one batch key. Raises BadRequest, or what torch raises."""
        with memory_freed():
            return self._run(jobs)

    def _run(self, jobs: list[Job]) -> list[Answer]:
        import torch

        inputs = self.prompter.inputs([job.prompt for job in jobs])
        lengths = [int(n) for n in inputs["attention_mask"].sum(dim=-1)]
        self._check_context(max(lengths))
        inputs = placed(inputs, self.model)
        params = jobs[0].params
        stopper = _StopStrings(self.tokenizer, params.stop, inputs["input_ids"].shape[1], len(jobs))
        seeds = [job.seed for job in jobs]
        with torch.inference_mode():
            rows = self.sequences(inputs, params, seeds, stopper=stopper if params.stop else None)
        answers = zip(rows, lengths, stopper.lengths, strict=True)
        return [self._answer(row, n, stopped, params) for row, n, stopped in answers]

    def sequences(
        self,
        inputs: Mapping[str, Any],
        params: Params,
        seeds: Sequence[int],
        *,
        stopper: Any = None,
        together: bool = False,
    ) -> list[list[int]]:
        """The ids that the model adds to each row of `inputs`, which is padded on the left, on its device.

        Rows that end early are filled up behind their end token. Each row draws by its own seed. `together`:
        the weights are divided among processes, and all go on until the last one is done.
        """
        start = inputs["input_ids"].shape[1]
        rows = self.model.generate(
            **inputs,
            generation_config=self._config(params),
            logits_processor=self._sampler(seeds, params),
            stopping_criteria=[stopper] if stopper is not None else None,
            synced_gpus=together,
        )
        added: list[list[int]] = rows[:, start:].tolist()
        return added

    def _check_context(self, longest: int) -> None:
        if self.context is not None and longest >= self.context:
            raise BadRequest(f"the prompt has {longest} tokens, the model's context is {self.context}")

    def _config(self, params: Params) -> Any:
        config = copy.deepcopy(self.model.generation_config)
        greedy = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "num_beams": 1}
        limits = {"max_new_tokens": _max_tokens(params), "max_length": None}
        ids = {"eos_token_id": self.ends, "pad_token_id": self.tokenizer.pad_token_id}
        fixed = {**greedy, **limits, **ids, "suppress_tokens": self.suppressed or None}
        for name in params.extra:
            if name in fixed:
                raise BadRequest(
                    f"params.extra: {name!r} is decided by temperature, max_tokens and the model"
                )
        unknown = config.update(**fixed, **params.extra)
        if unknown:
            raise BadRequest(f"params.extra: transformers' generate has no parameter {sorted(unknown)[0]!r}")
        return config

    def _sampler(self, seeds: Sequence[int], params: Params) -> list[GumbelSampler]:
        if not params.temperature:
            return []
        return [GumbelSampler(seeds, params.temperature, params.top_k, params.top_p, self.model.device)]

    def _answer(self, row: list[int], input_tokens: int, stopped: int | None, params: Params) -> Answer:
        ended = next((i for i, token in enumerate(row) if token in self.ends), None)
        if stopped is not None and (ended is None or stopped <= ended):
            ended = stopped
        kept = row if ended is None else row[:ended]
        text = self.tokenizer.decode(kept, skip_special_tokens=True)
        for stop in params.stop:
            text = text.partition(stop)[0]
        truncated = ended is None and len(row) >= _max_tokens(params)
        return Answer(text, input_tokens, len(kept) + (ended is not None and stopped != ended), truncated)


def placed(inputs: Any, model: Any) -> Any:
    """A processor's outputs on the model's device, in its type."""
    import torch

    inputs = inputs.to(model.device)
    for name, value in inputs.items():
        # Pixels and mel frames take the weights' type; seconds per frame (one dimension) stay exact.
        if torch.is_tensor(value) and value.is_floating_point() and value.ndim > 1:
            inputs[name] = value.to(model.dtype)
    return inputs


@contextlib.contextmanager
def memory_freed() -> Iterator[None]:
    """Around work of the model: where memory runs out, what is cached is given back before the work is tried
    again in smaller parts."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        raise


def context_length(opened: Opened) -> int | None:
    """Most tokens that the model can look at; None where its configuration does not say."""
    limit = getattr(opened.config.get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) else None


def _max_tokens(params: Params) -> int:
    return DEFAULT_MAX_TOKENS if params.max_tokens is None else params.max_tokens


def end_tokens(generation_config: Any, tokenizer: Any) -> list[int]:
    """The tokens after which an answer is over."""
    stated = generation_config.eos_token_id
    ends = [] if stated is None else [stated] if isinstance(stated, int) else list(stated)
    if not ends and tokenizer.eos_token_id is not None:
        ends = [tokenizer.eos_token_id]
    return ends


def _suppressed(opened: Opened, model: Any) -> list[int]:
    """Media placeholders are never generated: whoever reads the answer's tokens would read them as media.
    Nor are the tokens that open a medium, by which some models count what they were given."""
    kinds, suffixes = ("image", "audio", "video", "vision"), ("token_id", "token_index", "start_token_id")
    names = [f"{kind}_{suffix}" for kind in kinds for suffix in suffixes]
    ids = {getattr(opened.config, name, None) for name in names}
    ids |= {opened.tokenizer.convert_tokens_to_ids(token) for token in placeholder_tokens(opened)}
    ids |= set(model.generation_config.suppress_tokens or ())
    return sorted(i for i in ids if isinstance(i, int) and i >= 0)


class _StopStrings:
    """Ends a row once its own new text holds one of the stop strings; remembers after how many tokens."""

    def __init__(self, tokenizer: Any, stops: Sequence[str], start: int, rows: int) -> None:
        self.tokenizer = tokenizer
        self.stops = stops
        self.start = start
        self.lengths: list[int | None] = [None] * rows
        # Byte-level tokens hold at least a byte each, so a stop string spans no more tokens than this.
        self.window = max((len(stop.encode()) for stop in stops), default=0) + 4

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        length = input_ids.shape[1] - self.start
        for row, tokens in enumerate(input_ids[:, self.start :][:, -self.window :].tolist()):
            if self.lengths[row] is None:
                text = self.tokenizer.decode(tokens, skip_special_tokens=True)
                if any(stop in text for stop in self.stops):
                    self.lengths[row] = length
        return torch.tensor([n is not None for n in self.lengths], device=input_ids.device)
