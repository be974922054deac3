"""The one entry to training data: what a data set is called, and how it is opened.

| name                            | what it is                                                          |
|---------------------------------|---------------------------------------------------------------------|
| align-anything:ti2t             | that subtask of PKU-Alignment/align-anything, from the hub          |
| OWNER/NAME[@REVISION][:SUBTASK] | another repository of the hub with files in one of the forms        |
| FILE or FOLDER[:SUBTASK]        | files in the columns of align-anything, or in the project's schema  |
| safesora:FOLDER[:PREFERENCE]    | SafeSora's files; helpfulness (default) or harmlessness             |
| intermt:FOLDER[:PREFERENCE]     | InterMT's files; by most of its dimensions (default), or one        |
| synthetic[:SUBTASK]             | the synthetic twin of a subtask                                     |

After the last colon there may be several, with commas: `subtask`, `split`, `revision`, `media` (the folder of
media that rows name), `preference`, and for the twin `n`, `seed`, `agreement`: `synthetic:ti2t,n=500,seed=3`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eval_anything.errors import UnknownName, UsageError
from eval_anything.hub import download
from eval_anything.suggest import unknown
from eval_anything_train.data import align_anything, columns, tables
from eval_anything_train.data.dataset import DataSet, prepare
from eval_anything_train.data.intermt import InterMT
from eval_anything_train.data.local import open_local
from eval_anything_train.data.reader import Reader
from eval_anything_train.data.safesora import SafeSora
from eval_anything_train.values import Record

R = TypeVar("R", bound=Record)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may stand behind a name."""

    subtask: str | None = None
    split: str = "train"
    revision: str = "main"
    media: str | None = None
    preference: str | None = None
    n: int | None = None
    seed: int = 0
    agreement: float = 1.0


_KNOWN = Options.__struct_fields__
_BY_FORM = {"safesora": SafeSora, "intermt": InterMT}


def load(spec: str, kind: type[R], *, limit: int | None = None, **options: Any) -> DataSet[R]:
    """The data set called `spec`, as records of `kind`: the first `limit` of them.

    `options` are those that may stand in `spec` and win over it. Raises UsageError for a name that is none,
    and DataError where rows or media cannot be used: everything is read, and all media are found, before it
    returns.
    """
    return prepare(open_reader(spec, **options), kind, limit)


def open_reader(spec: str, **given: Any) -> Reader:
    """The data set called `spec`, found and not yet read."""
    head, _, rest = spec.partition(":")
    if head == "synthetic":
        return _twin(_options(rest, "subtask", given))
    if head in _BY_FORM:
        if not rest:
            raise UsageError(f"{spec}: say in which folder its files are: {head}:FOLDER")
        name, written = _split(rest)
        options = _options(written, "preference", given)
        return _BY_FORM[head](Path(name).expanduser(), options.split, options.preference)
    name, written = _split(spec)
    options = _options(written, "subtask", given)
    of = columns.subtask(options.subtask) if options.subtask else None
    media = Path(options.media).expanduser() if options.media else None
    path = Path(name).expanduser()
    if path.exists() or _looks_like_a_path(name):
        return open_local(path, of, options.split, media)
    if name == "align-anything":
        name = align_anything.REPOSITORY
    return _from_hub(name, of, options, media)


def _from_hub(name: str, of: columns.Subtask | None, options: Options, media: Path | None) -> Reader:
    repository, at, revision = name.partition("@")
    revision = revision if at else options.revision
    if repository.count("/") != 1:
        raise UsageError(
            f"no training data {name!r}: no file or folder, and none of align-anything:SUBTASK, OWNER/NAME of"
            " the hub, safesora:FOLDER, intermt:FOLDER, synthetic:SUBTASK"
        )
    if align_anything.is_ours(repository):
        return align_anything.open_hub(repository, revision, of, options.split, media)
    prefix = f"{of.name}/" if of else ""
    patterns = [f"{prefix}*{options.split}*{end}" for end in tables.SUFFIXES]
    root = download(repository, revision, patterns, licence="see the repository's card")
    return open_local(
        root,
        of,
        options.split,
        media,
        trusted=False,
        name=repository,
        revision=root.name,
        notes=(f"hub data set {repository} at {revision} (commit {root.name})",),
    )


def _twin(options: Options) -> Reader:
    from eval_anything_train.data.twin import twin_folder

    of = columns.subtask(options.subtask or "ti2t")
    folder = twin_folder(of.short, options.n, options.seed, options.agreement)
    name = f"synthetic:{of.short},n={options.n},seed={options.seed},agreement={options.agreement:g}"
    note = f"synthetic data: the twin of align-anything's {of.name}"
    return open_local(folder, of, options.split, name=name, notes=(note,), synthetic=True)


def _looks_like_a_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or bool(tables.suffix(Path(name)))


def _split(spec: str) -> tuple[str, str]:
    """Name and options. What exists as a file or folder has no options."""
    if Path(spec).expanduser().exists():
        return spec, ""
    name, colon, written = spec.rpartition(":")
    return (name, written) if colon else (spec, "")


def _options(written: str, bare: str, given: Mapping[str, Any]) -> Options:
    """`key=value,key=value`; a word alone is the value of `bare`."""
    found: dict[str, Any] = {}
    for item in filter(None, (item.strip() for item in written.split(","))):
        key, equals, value = item.partition("=")
        found[key.strip() if equals else bare] = value.strip() if equals else key
    found |= {key: value for key, value in given.items() if value is not None}
    for key in found:
        if key not in _KNOWN:
            raise UnknownName(f"training data: {unknown('option', key, _KNOWN)}")
    try:
        return msgspec.convert(found, Options, strict=False)
    except msgspec.ValidationError as fault:
        raise UsageError(f"training data: {written!r}: {fault}") from None
