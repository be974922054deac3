"""Where lm-evaluation-harness defines a task, a group or a tag, without reading all of its 14,000 files.

Its own index takes 13 s. Here the files' text is searched, which takes half a second, and only the folders
that define what was asked for, and what that is made of, are left to its `TaskManager`.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval_anything.errors import DataError, UnknownName
from eval_anything.suggest import unknown

_NO_CONFIGS = (".py", ".pyc", ".md", ".json", ".jsonl", ".csv", ".tsv", ".txt", ".sh", ".ipynb", ".jpg")
_SKIPPED = {"__pycache__", ".ipynb_checkpoints"}
_DEFINED = re.compile(rb"^(?:task|group)\s*:\s*[\"']?([^\s\"'#\[{]+)", re.MULTILINE)
_INCLUDED = re.compile(rb"^include\s*:(.*(?:\n\s*-.*)*)", re.MULTILINE)
_TAGGED = re.compile(rb"^tag\s*:(.*(?:\n\s*-.*)*)", re.MULTILINE)
_WORD = rb"(?<![\w./+:-])%s(?![\w./+:-])"


def folders_of(name: str, roots: Sequence[Path]) -> list[Path]:
    """The folders whose YAML files define `name` and all that it is made of, below `roots`, the package's own
    first. In the order in which a `TaskManager` is to read them: what it reads last wins, as the first file
    does in its own index.

    Raises UnknownName with the nearest name, DataError for a folder that is not there.
    """
    files = _Files(_texts(roots[0]), *(dict(_read(root)) for root in roots[1:]))
    found: dict[Path, None] = {}
    seen: set[str] = set()
    wanted = [name]
    while wanted:
        target = wanted.pop()
        seen.add(target)
        defining = []
        for path, config in files.that_may_define(target):
            if target in _names_of(config):
                defining.append(path.parent)
            if config.get("group") == target:
                near = files.defined_below(path.parent)
                wanted += [child for child in children(config) if child not in seen and child not in near]
        if defining:
            # A manager that reads a tag's tasks from several folders keeps those of the last one alone.
            found[Path(os.path.commonpath(defining))] = None
        if not found:
            raise UnknownName(unknown("task of lm-evaluation-harness", name, files.defined()))
    outermost = [folder for folder in found if not any(other in folder.parents for other in found)]
    return sorted(outermost, reverse=True)


class _Files:
    """The text of every configuration below some folders."""

    def __init__(self, *texts: Mapping[Path, bytes]) -> None:
        self._texts = {path: text for own in texts for path, text in own.items()}
        self._names = {str(path): text for path, text in self._texts.items()}
        self._includes = {
            path: b" ".join(_INCLUDED.findall(text))
            for path, text in self._texts.items()
            if b"include" in text
        }

    def that_may_define(self, target: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Configurations that hold the word, and those that include files which have it as a tag."""
        word = target.encode()
        pattern = re.compile(_WORD % re.escape(word))
        paths = {path for path, text in self._texts.items() if word in text and pattern.search(text)}
        added = {path for path in paths if any(word in tags for tags in _TAGGED.findall(self._texts[path]))}
        while added:
            names = [path.name.encode() for path in added]
            added = {
                path
                for path, included in self._includes.items()
                if path not in paths and any(name in included for name in names)
            }
            paths |= added
        for path in sorted(paths):
            if path.suffix == ".yaml" and (config := self._config(path, word)) is not None:
                yield path, config

    def _config(self, path: Path, word: bytes) -> dict[str, Any] | None:
        """What is in the file; None for one that is broken and does not define `word`."""
        import yaml
        from lm_eval.tasks._yaml_loader import load_yaml

        try:
            config: dict[str, Any] = load_yaml(path, resolve_func=False)
        except (yaml.YAMLError, OSError, ValueError) as fault:
            if word in _DEFINED.findall(self._texts[path]):
                raise DataError(f"{path}: cannot be read: {fault}") from None
            return None
        return config

    def defined(self) -> set[str]:
        return {match.decode() for text in self._texts.values() for match in _DEFINED.findall(text)}

    def defined_below(self, folder: Path) -> set[str]:
        """Tasks, not groups: they are found with the folder."""
        own = re.compile(rb"^task\s*:\s*([\w.+-]+)\s*$", re.MULTILINE)
        inside = f"{folder}{os.sep}"
        texts = (text for path, text in self._names.items() if path.startswith(inside))
        return {match.decode() for text in texts for match in own.findall(text)}


@functools.cache
def _texts(root: Path) -> dict[Path, bytes]:
    """Those of the package, which do not change while it is in use."""
    return dict(_read(root))


def _read(root: Path) -> Iterator[tuple[Path, bytes]]:
    if not root.is_dir():
        raise DataError(f"option include_path: no such folder: {root}")
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - _SKIPPED)
        for path in (Path(folder, file) for file in sorted(files) if not file.endswith(_NO_CONFIGS)):
            yield path, path.read_bytes()


def _names_of(config: Mapping[str, Any]) -> set[str]:
    tags = config.get("tag") or ()
    names = [config.get("task"), config.get("group"), *([tags] if isinstance(tags, str) else tags)]
    return {name for name in names if isinstance(name, str)}


def children(config: Mapping[str, Any]) -> Iterator[str]:
    """Names of what a group is made of, those of groups that are written into it included."""
    members = config.get("task")
    for member in [members] if isinstance(members, str) else members or ():
        if isinstance(member, str):
            yield member
        elif isinstance(member, dict):
            yield from _names_of(member)
            if isinstance(member.get("task"), list):
                yield from children(member)
