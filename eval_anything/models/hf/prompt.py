"""Requests into the text and media that a processor takes, and those into one padded batch of tensors."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval_anything.errors import BadRequest
from eval_anything.media.convert import load_audio, load_image, load_video
from eval_anything.media.probe import probe
from eval_anything.models.hf.load import Opened
from eval_anything.values import (
    Audio,
    File,
    Image,
    MediaPart,
    Message,
    Modality,
    Part,
    Reasoning,
    Request,
    Text,
    Video,
    part_modality,
)

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore

NO_TEMPLATE = "has no chat template: give one with -M chat_template=FILE"
_THINK = "<think>"


@dataclasses.dataclass(frozen=True)
class Clip:
    """Frames of one video."""

    frames: Any
    """uint8 array, (frames, height, width, 3)."""
    fps: float
    """Frames per second after sampling."""


@dataclasses.dataclass
class Prompt:
    """One request, ready for the processor. Media are in the order of the messages."""

    text: str = ""
    images: list[Any] = dataclasses.field(default_factory=list)
    """PIL images, RGB."""
    audio: list[Any] = dataclasses.field(default_factory=list)
    """float32 mono arrays at the processor's sampling rate."""
    videos: list[Clip] = dataclasses.field(default_factory=list)
    audio_s: float = 0.0
    video_s: float = 0.0
    notes: list[str] = dataclasses.field(default_factory=list)
    """What was changed on the way to the model."""
    special: bool = False
    """Whether the tokenizer is to add its own first token: templates write theirs themselves."""

    @property
    def thinking(self) -> bool:
        """Whether the template has opened the model's thinking, so that the reply starts inside of it."""
        return self.text.rstrip().endswith(_THINK)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Prompts of one key can share a batch: processors want the same kinds of media in each row."""
        fps = tuple(sorted({round(v.fps, 3) for v in self.videos}))
        return (bool(self.images), bool(self.audio), fps, self.special)

    @property
    def sizes(self) -> tuple[object, ...]:
        """Media of equal sizes take equally many places."""
        images = tuple(image.size for image in self.images)
        sounds = tuple(len(sound) for sound in self.audio)
        return images, sounds, tuple(video.frames.shape for video in self.videos)


class Prompter:
    """Writes prompts for one opened checkpoint."""

    def __init__(self, opened: Opened, store: "ArtifactStore", max_frames: int, fps: float) -> None:
        self.opened = opened
        self.store = store
        self.max_frames = max_frames
        self.fps = fps
        self.multimodal = opened.processor is not opened.tokenizer
        self._special = _special_tokens(opened)
        extractor = getattr(opened.processor, "feature_extractor", None)
        self._sampling_rate = int(getattr(extractor, "sampling_rate", 16000))
        samples = getattr(extractor, "n_samples", None)  # Whisper's extractor cuts what is longer
        self._longest_audio_s = samples / self._sampling_rate if samples else None

    def prompt(self, request: Request) -> Prompt:
        """Render the chat template and decode the media; for worker threads. A conversation that ends with
        the assistant's words is one that the model goes on with.

        Raises BadRequest for what the model cannot take, MediaError for a file that cannot be decoded.
        """
        if request.plain or not request.messages:
            return self._as_it_is(request)
        if not self.opened.capabilities.chat:
            raise BadRequest(f"{self.opened.folder} {NO_TEMPLATE}")
        prompt = Prompt()
        conversation = [self._turn(message, prompt) for message in request.messages]
        goes_on = bool(conversation) and conversation[-1]["role"] == "assistant"
        prompt.text = self._rendered(conversation, goes_on=goes_on)
        prompt.special = self.multimodal and not self._begins(prompt.text)
        return prompt

    def _as_it_is(self, request: Request) -> Prompt:
        parts = [part for message in request.messages for part in message.parts]
        if media := [part for part in parts if not isinstance(part, Text)]:
            raise BadRequest(
                f"a plain prompt is text alone, and this one has {type(media[0]).__name__} parts"
            )
        text = "".join(part.text for part in parts if isinstance(part, Text))
        return Prompt(text=text, special=not self._begins(text))

    def _rendered(self, conversation: list[dict[str, Any]], *, goes_on: bool) -> str:
        import jinja2

        try:
            text: str = self.opened.processor.apply_chat_template(
                conversation,
                chat_template=self.opened.chat_template,
                add_generation_prompt=not goes_on,
                continue_final_message=goes_on,
                tokenize=False,
            )
        except jinja2.TemplateError as fault:
            raise BadRequest(f"the chat template refuses these messages: {fault}") from None
        return text

    def _begins(self, text: str) -> bool:
        """Whether `text` has the tokenizer's first token itself, and must not get a second one."""
        bos = self.opened.tokenizer.bos_token
        return bool(bos) and text.startswith(bos)

    def _turn(self, message: Message, prompt: Prompt) -> dict[str, Any]:
        parts = [part for part in message.parts if not isinstance(part, Reasoning)]
        content = [self._part(part, prompt) for part in parts]
        if self.multimodal:
            return {"role": message.role, "content": content}
        return {"role": message.role, "content": "\n".join(part["text"] for part in content)}

    def _part(self, part: Part, prompt: Prompt) -> dict[str, str]:
        match part:
            case Text():
                return {"type": "text", "text": self._plain(part.text, prompt)}
            case Image() | Audio() | Video():
                kind = self._medium(self.store.path(part.artifact), part.artifact.duration_s, part, prompt)
                return {"type": kind}
            case File():
                return {"type": self._medium(Path(part.path), None, part, prompt)}
            case _:
                raise BadRequest(f"models in process take text and media, not {type(part).__name__} parts")

    def _medium(self, path: Path, seconds: float | None, part: MediaPart | File, prompt: Prompt) -> Modality:
        """Decode a medium for `prompt`; `seconds` is its length where that is known already."""
        modality = part_modality(part)
        assert modality is not None
        self._require(modality)
        match modality:
            case "image":
                prompt.images.append(load_image(path))
            case "audio":
                prompt.audio.append(self._sound(path, prompt))
            case _:
                if seconds is None:
                    seconds = probe(path, "video").duration_s
                prompt.videos.append(self._clip(path, seconds or 0.0, prompt))
        return modality

    def _require(self, modality: Modality) -> None:
        if modality not in self.opened.capabilities.inputs:
            takes = ", ".join(self.opened.capabilities.inputs)
            raise BadRequest(f"the model does not take {modality} (it takes {takes})")

    def plain(self, text: str) -> str:
        """`text` with the model's control tokens broken up."""
        return self._plain(text, Prompt())

    def _plain(self, text: str, prompt: Prompt) -> str:
        """`text` with the model's control tokens broken up: data must not open turns or place media."""
        found = sorted(set(self._special.findall(text)))
        if found:
            prompt.notes.append(f"control tokens in the text were broken up: {' '.join(found)}")
        return self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def _sound(self, path: Path, prompt: Prompt) -> Any:
        sound = load_audio(path, self._sampling_rate)
        seconds = len(sound) / self._sampling_rate
        prompt.audio_s += seconds
        if self._longest_audio_s is not None and seconds > self._longest_audio_s:
            prompt.notes.append(
                f"audio of {seconds:.1f} s: the model hears the first {self._longest_audio_s:g} s"
            )
        return sound

    def _clip(self, path: Path, seconds: float, prompt: Prompt) -> Clip:
        import numpy as np

        wanted = min(max(round(seconds * self.fps), 2), self.max_frames)
        images = load_video(path, frames=wanted)
        prompt.video_s += seconds
        fps = len(images) / seconds if seconds else self.fps
        prompt.notes.append(f"video of {seconds:.1f} s: {len(images)} frames")
        return Clip(np.stack([np.asarray(image) for image in images]), fps)

    def inputs(self, prompts: Sequence[Prompt], **options: Any) -> Any:
        """Processor outputs for `prompts` (of one batch key) as tensors, padded on the left. `options` are
        the processor's own."""
        processor = self.opened.processor
        texts = [prompt.text for prompt in prompts]
        media = self._media(prompts) if self.multimodal else {}
        options |= {"padding": True, "return_tensors": "pt", "add_special_tokens": prompts[0].special}
        batch = processor(text=texts, **options, **media)
        if not bool(batch["attention_mask"][:, -1].all()):
            raise BadRequest(f"{type(processor).__name__} did not pad the batch on the left")
        return batch

    def _media(self, prompts: Sequence[Prompt]) -> dict[str, Any]:
        media: dict[str, Any] = {}
        if any(prompt.images for prompt in prompts):
            media["images"] = [prompt.images for prompt in prompts]
        if any(prompt.audio for prompt in prompts):
            media["audio"] = [sound for prompt in prompts for sound in prompt.audio]
            media["audio_kwargs"] = {"sampling_rate": self._sampling_rate}
        clips = [clip for prompt in prompts for clip in prompt.videos]
        if clips:
            media["videos"] = [[clip.frames for clip in prompt.videos] for prompt in prompts]
            media["videos_kwargs"] = {
                "do_sample_frames": False,
                "fps": clips[0].fps,
                "video_metadata": [_metadata(clip) for clip in clips],
            }
        return media


def _metadata(clip: Clip) -> dict[str, Any]:
    count = len(clip.frames)
    return {
        "total_num_frames": count,
        "fps": clip.fps,
        "duration": count / clip.fps,
        "frames_indices": list(range(count)),
    }


def placeholder_tokens(opened: Opened) -> list[str]:
    """The tokens that stand for media in the text, as far as the processor names them."""
    names = ("image_token", "audio_token", "video_token")
    found = [getattr(opened.processor, name, None) for name in names]
    return [token for token in found if isinstance(token, str) and token]


def _special_tokens(opened: Opened) -> re.Pattern[str]:
    tokens = {*opened.tokenizer.all_special_tokens, *placeholder_tokens(opened)}
    tokens |= {str(t) for t in opened.tokenizer.added_tokens_decoder.values() if t.special}
    longest_first = sorted((t for t in tokens if len(t) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
