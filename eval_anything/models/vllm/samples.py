"""The smallest media that models take, as parts of a message: to find out whether a server takes them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from eval_anything.values import Modality


def smallest(modalities: Iterable[Modality]) -> dict[Modality, dict[str, Any]]:
    """One of each of `modalities`, text left out. Imports libraries that take a while."""
    return {modality: _item(modality) for modality in modalities if modality != "text"}


def _item(modality: Modality) -> dict[str, Any]:
    import numpy as np
    from PIL import Image

    from eval_anything.media.convert import write_mp4, write_png, write_wav

    if modality == "audio":
        second = _base64(write_wav(np.zeros(16000, dtype=np.float32), 16000))
        return {"type": "input_audio", "input_audio": {"data": second, "format": "wav"}}
    if modality == "video":
        video = _base64(write_mp4([np.zeros((64, 64, 3), dtype=np.uint8)] * 4, 2))
        return {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{video}"}}
    image = _base64(write_png(Image.new("RGB", (64, 64))))
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
