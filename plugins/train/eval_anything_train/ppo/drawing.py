"""Answers with images: words and the codes of images, each drawn from its own vocabulary."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from eval_anything.agents.media.hf_families import pictures
from eval_anything.errors import UsageError
from eval_anything.models.hf.sampling import GumbelSampler
from eval_anything.values import File, Text
from eval_anything_train.discrete.encoder import ImageEncoder
from eval_anything_train.logprobs import TwoVocabularies, at_head, unwrapped
from eval_anything_train.policy import Policy
from eval_anything_train.ppo.rollouts import Questions, Said, Sampler
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.session import Session
from eval_anything_train.values import Answer


class Painter:
    """The decoder of a checkpoint's VQ model: images from their codes."""

    def __init__(self, policy: Policy) -> None:
        """Before training begins: what is needed is copied, as weights may be divided then."""
        self.processor = policy.opened.processor
        self.vqmodel = copy.deepcopy(unwrapped(policy.model).model.vqmodel).float().eval()
        self.folder = tempfile.TemporaryDirectory(prefix="rollouts-")

    def paint(self, codes: Sequence[Tensor], device: str) -> list[Path]:
        """Files of the images whose codes, from 0, are given; they are there until the next call."""
        if not codes:
            return []
        self.vqmodel.to(device)
        with torch.no_grad(), torch.autocast(torch.device(device).type, enabled=False):
            decoded = self.vqmodel.decode(torch.stack(list(codes)).to(device)).permute(0, 2, 3, 1)
        made = pictures(decoded, self.processor)  # as those that the harness is given of the checkpoint
        paths = [Path(self.folder.name) / f"{number}.png" for number in range(len(made))]
        for path, image in zip(paths, made, strict=True):
            image.save(path)
        return paths


@dataclasses.dataclass
class _Row:
    """An answer that is being made."""

    given: list[int]
    """What comes next and is not drawn."""
    codes: int
    """Codes that are still to be drawn, after what is given."""
    after: tuple[int, ...]
    """Given after an image."""
    ids: list[int] = dataclasses.field(default_factory=list)
    said: list[bool] = dataclasses.field(default_factory=list)
    done: bool = False
    ended: bool = False

    @property
    def next(self) -> Literal["nothing", "given", "code", "word"]:
        """What its next token is."""
        if self.done:
            return "nothing"
        return "given" if self.given else "code" if self.codes else "word"


class Drawer(Sampler):
    """Lets the policy answer with an image, or with words and images as it likes."""

    def __init__(
        self,
        session: Session,
        policy: Policy,
        model: torch.nn.Module,
        settings: PPOSettings,
        painter: Painter | None = None,
    ) -> None:
        """For a policy that makes images. `painter`: None where nobody looks at them. Raises UsageError where
        an image is longer than `max_new_tokens`."""
        super().__init__(session, policy, model, settings)
        network, encoder = unwrapped(model), policy.encoder
        assert isinstance(network, TwoVocabularies) and isinstance(encoder, ImageEncoder)
        self.network, self.encoder = network, encoder
        self.painter = painter
        self.count = encoder.coder.count
        self.image_alone = settings.answers == "image"
        self.refused = sorted({*self.generator.suppressed, encoder.stop} - {encoder.start})
        """Words that are never drawn."""
        self.needed = self.count + (0 if self.image_alone and encoder.on_request else 3)
        """Tokens of an image with all that stands around it."""
        most = settings.max_new_tokens
        if self.needed > most:
            raise UsageError(f"max_new_tokens: an image has {self.needed} tokens, and {most} are allowed")

    def sample(self, questions: Questions, seeds: Sequence[int]) -> list[Said]:
        s = self.settings
        sampler = GumbelSampler(seeds, s.temperature, None, s.top_p, self.session.device)
        rows = [self._begun() for _ in seeds]
        inputs: dict[str, Any] = dict(questions.inputs)
        mask = inputs["attention_mask"]
        while self._anyone_goes_on(rows):
            out = self._forward(rows, inputs)
            self._draw(rows, out, sampler)
            last = [self.policy.pad if row.done else row.ids[-1] for row in rows]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            inputs = {
                "input_ids": torch.tensor(last, device=mask.device)[:, None],
                "attention_mask": mask,
                "past_key_values": out.past_key_values,
            }
        return [Said(row.ids, row.said, row.ended) for row in rows]

    def _begun(self) -> _Row:
        e = self.encoder
        if not self.image_alone:
            return _Row(given=[], codes=0, after=(e.stop,))
        if e.on_request:  # the prompt has ended with the first mark
            return _Row(given=[], codes=self.count, after=())
        return _Row(given=[e.start], codes=self.count, after=(e.stop, e.end))

    def _anyone_goes_on(self, rows: Sequence[_Row]) -> bool:
        """Processes that have parts of the weights go on together."""
        waiting = sum(not row.done for row in rows)
        if self.session.divided:
            waiting = int(self.session.sum(torch.tensor(waiting, device=self.session.device)))
        return waiting > 0

    def _forward(self, rows: Sequence[_Row], inputs: dict[str, Any]) -> Any:
        codes_at = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
        codes_at[:, -1] = torch.tensor([row.next == "code" for row in rows], device=codes_at.device)
        given = {**inputs, "use_cache": True, "codes_at": codes_at}
        return at_head(self.model, given, lambda states: states[:, -1:])

    def _draw(self, rows: Sequence[_Row], out: Any, sampler: GumbelSampler) -> None:
        """Add the next token to each row."""
        places = {kind: [n for n, row in enumerate(rows) if row.next == kind] for kind in ("word", "code")}
        for row in rows:
            if row.next == "given":
                self._take(row, row.given.pop(0), said=False)
        if places["word"]:
            logits = out.logits[places["word"], -1].float()
            for scores, n in zip(logits, places["word"], strict=True):
                scores[self._refused(rows[n])] = -torch.inf
            for n, token in zip(
                places["word"], _drawn(logits, places["word"], sampler).tolist(), strict=True
            ):
                self._take_word(rows[n], token)
        if places["code"]:
            drawn = self.network.id_of(_drawn(out.code_logits, places["code"], sampler))
            for n, token in zip(places["code"], drawn.tolist(), strict=True):
                self._take_code(rows[n], token)

    def _refused(self, row: _Row) -> list[int]:
        room = self.settings.max_new_tokens - len(row.ids)
        return self.refused if room >= self.needed else [*self.refused, self.encoder.start]

    def _take(self, row: _Row, token: int, *, said: bool) -> None:
        row.ids.append(token)
        row.said.append(said)
        complete = self.image_alone and not row.given and not row.codes
        row.ended = row.ended or complete
        row.done = row.ended or len(row.ids) == self.settings.max_new_tokens

    def _take_word(self, row: _Row, token: int) -> None:
        row.ended = token in self.generator.ends
        row.codes = self.count if token == self.encoder.start else 0
        self._take(row, token, said=True)

    def _take_code(self, row: _Row, token: int) -> None:
        row.codes -= 1
        row.given = [] if row.codes else list(row.after)
        self._take(row, token, said=True)

    def shown(self, found: Sequence[Said]) -> tuple[Answer, ...]:
        runs = [self._runs(one) for one in found]
        if self.painter is None:
            return tuple(tuple(part for part in row if isinstance(part, Text)) for row in runs)
        images = [part for row in runs for part in row if isinstance(part, Tensor)]
        paths = iter(self.painter.paint(images, self.session.device))
        return tuple(
            tuple(part if isinstance(part, Text) else File(str(next(paths)), "image") for part in row)
            for row in runs
        )

    def _runs(self, one: Said) -> list[Text | Tensor]:
        """Words, and codes of whole images."""
        ids = torch.tensor(one.ids)
        codes = self.network.is_code(ids)
        found: list[Text | Tensor] = []
        for drawn, run in itertools.groupby(zip(ids, codes.tolist(), strict=True), lambda pair: pair[1]):
            tokens = torch.stack([token for token, _ in run])
            if drawn:
                found += self.network.code_of(tokens).split(self.count)
            elif text := self.words(tokens.tolist()):
                found.append(Text(text))
        return found


def _drawn(logits: Tensor, places: Sequence[int], sampler: GumbelSampler) -> Tensor:
    """One token for each row of `logits`, which are those of the answers at `places`."""
    own = copy.copy(sampler)
    own.generators = [sampler.generators[n] for n in places]
    found: Tensor = own(None, logits).argmax(dim=-1)
    return found
