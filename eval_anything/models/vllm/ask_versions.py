"""Tells which vLLM an environment has, without importing it: a script that its interpreter runs.

Prints {"vllm": VERSION or null, "vllm_omni": VERSION or null, "python": VERSION}.
"""

import importlib.util
import json
import re
import sys
from pathlib import Path


def version(name: str) -> "str | None":
    """Of a package that is installed; from its own file, as some builds go by another distribution name."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    for file in ("_version.py", "version.py"):
        path = Path(spec.origin).with_name(file)
        said = path.read_text(errors="replace") if path.is_file() else ""
        if found := re.search(
            r"""^(?:__version__ = )?(?:version|__version__) = ['"]([^'"]+)['"]""", said, re.M
        ):
            return found.group(1)
    return "unknown"


if __name__ == "__main__":
    sys.path = [p for p in sys.path if Path(p).resolve() != Path(__file__).resolve().parent]
    told = {name: version(name) for name in ("vllm", "vllm_omni")}
    print(json.dumps({**told, "python": sys.version.split()[0]}))
