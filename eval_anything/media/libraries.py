"""The decoding libraries, made fit for hostile input: which errors they raise, and no word on stderr."""

from __future__ import annotations

import functools
import struct
import warnings
import zlib
from types import ModuleType
from typing import Final

IMAGE_FORMATS: Final[dict[str, tuple[str]]] = {
    "image/png": ("PNG",),
    "image/jpeg": ("JPEG",),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/bmp": ("BMP",),
}
"""Pillow's readers by type. They are always named: its other readers are old and little tested."""


@functools.cache
def pillow() -> ModuleType:
    """`PIL.Image`, which otherwise warns on stderr about files that are refused or used all the same."""
    from PIL import Image

    # Once for the process: filters cannot be set and reset safely from several threads.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    return Image


@functools.cache
def decoding_faults() -> tuple[type[Exception], ...]:
    """What Pillow, soundfile and PyAV raise on broken input; their readers were not written to one rule."""
    import av
    import soundfile
    from PIL.Image import DecompressionBombError

    builtins = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError)
    errors = (AttributeError, RuntimeError, MemoryError, struct.error, zlib.error)
    return (*builtins, *errors, DecompressionBombError, av.FFmpegError, soundfile.SoundFileError)
