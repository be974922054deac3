from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHIM = "from eval_anything.models.hf.torchvision_shim import declare_missing_operators as declare\n"


def _python(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    before = f"import sys\nsys.path.insert(0, {str(path)!r})\n" if path else ""
    return subprocess.run(
        [sys.executable, "-c", before + code], capture_output=True, text=True, check=False, timeout=60
    )


def _fake_torchvision(folder: Path, code: str) -> None:
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(code)


def test_acts_only_where_the_plain_import_fails() -> None:
    plain = _python("import torchvision.transforms.v2")
    shimmed = _python(SHIM + "print(declare(), declare())\nimport torchvision.transforms.v2\n")
    needed = plain.returncode != 0
    assert shimmed.returncode == 0, shimmed.stderr
    assert shimmed.stdout.split() == [str(needed)] * 2
    assert shimmed.stderr.count("only its transforms work") == int(needed)


def test_declares_what_a_library_without_its_extension_looks_up(tmp_path: Path) -> None:
    _fake_torchvision(
        tmp_path,
        "import torch\n@torch.library.register_fake('torchvision::nms')\ndef nms(dets, scores, iou): ...\n",
    )
    assert "torchvision::nms" in _python("import torchvision", tmp_path).stderr
    (tmp_path / "torchvision" / "_C.so").write_bytes(b"not for this torch")
    done = _python(SHIM + "print(declare())\nimport torchvision\n", tmp_path)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr


def test_a_torchvision_that_loads_needs_no_qnms(tmp_path: Path) -> None:
    """As torchvision 0.26, whose extension has nms alone."""
    _fake_torchvision(tmp_path, "")
    (tmp_path / "torchvision" / "_C.so").write_bytes(b"")
    loads = (
        "import torch\n"
        "def load(path):\n"
        "    global held\n"
        "    held = torch.library.Library('torchvision', 'DEF')\n"
        "    held.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "torch.ops.load_library = load\n"
    )
    done = _python(loads + SHIM + "print(declare())\nimport torchvision\n", tmp_path)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr


def test_leaves_an_imported_torchvision_alone(tmp_path: Path) -> None:
    _fake_torchvision(tmp_path, "")
    done = _python("import torchvision\n" + SHIM + "print(declare(), 'torch' in sys.modules)\n", tmp_path)
    assert done.stdout.split() == ["False", "False"], done.stderr
