"""Lets a torchvision that was built for another torch be imported.

The video processors of transformers need `torchvision.transforms.v2`. Where a CUDA build of torchvision is
installed beside a CPU torch, its compiled operators cannot be loaded, and importing it fails with "operator
torchvision::nms does not exist". Declaring the schemas of the two operators that it looks up while it is
imported is enough: the transforms are plain torch. What does need the operators (`torchvision.ops`,
`torchvision.io`) still fails when it is called; nothing here calls it: processors are given PIL images.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import logging
import sys
from pathlib import Path

log = logging.getLogger(__name__)

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_declared: list[object] = []


def declare_missing_operators() -> bool:
    """Make `import torchvision` work where its compiled part does not load; call it before transformers.

    True where schemas had to be declared. Does nothing where torchvision is absent, already imported, or
    matches torch.
    """
    if _declared or "torchvision" in sys.modules:
        return bool(_declared)
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _operators_load(Path(spec.origin).parent):
        return False
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS.values():
        library.define(schema)
    _declared.append(library)  # the schemas live as long as the library object
    log.warning(
        "the installed torchvision does not match torch %s: only its transforms work", torch.__version__
    )
    return True


def _operators_load(package: Path) -> bool:
    """Whether torchvision's extension library is there and fits the installed torch."""
    import torch

    # An ABI-tagged name on POSIX, a plain one where torchvision builds for the stable ABI or for Windows.
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    found = [path for s in suffixes if (path := package / f"_C{s}").is_file()]
    if not found:
        return False
    try:
        torch.ops.load_library(str(found[0]))
    except OSError:
        return False
    # Not every torchvision has qnms: one that loads has what its own import looks up.
    return hasattr(torch.ops.torchvision, "nms")
