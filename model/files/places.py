"""Where files lie: a file, a folder, a glob, a URL that fsspec knows, or standard input."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from model.files.contents import HEAD, Kind, Packing, fault, kind_of, packing_of
from model.files.formats import detect as statements
from model.files.streams import STDIN, as_files, is_stream, name_of
from tidegate.errors import ConfigError
from tidegate.words import count

if TYPE_CHECKING:
    import fsspec

KINDS: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "xlsx",
}
"""The kind of a file, by the end of its name."""
FORMATS = tuple(dict.fromkeys(KINDS.values()))
"""What `--format` may say."""
_PACKINGS: dict[str, Packing] = {".gz": "gzip", ".zst": "zstd"}
_KNOWN = f"{', '.join(KINDS)}, and .csv, .tsv, .jsonl and .ndjson also with .gz or .zst behind"
_LAKES = {
    "/_delta_log/": "a Delta table",
    ".metadata.json": "an Iceberg table",
    "/.hoodie/": "a Hudi table",
}


@dataclass(frozen=True)
class Part:
    """One file of a place. `name` is what the user calls it."""

    name: str
    kind: Kind
    packing: Packing | None
    files: fsspec.AbstractFileSystem = field(repr=False)
    """The fsspec file system that has it."""
    path: str = field(repr=False)
    separator: str | None = None
    """What the name says of a CSV's separator."""

    def times(self, count: int, size: int) -> int | None:
        """How often something is in the file of which `count` are in `size` bytes, about.

        None if it is packed, or its size is not known.
        """
        whole = None if self.packing else self.files.size(self.path)
        return None if whole is None or not size else whole * count // size

    def tail(self, size: int) -> tuple[bytes, bool]:
        """The last bytes of the file, and whether they are all of it; none if it is packed."""
        if self.packing:
            return b"", False
        with self.stored() as file:
            file.seek(max(0, (whole := self.files.size(self.path)) - size))
            return file.read(), whole <= size

    @contextmanager
    def stored(self) -> Iterator[IO[bytes]]:
        """The bytes as they are stored. Raises ConfigError, also while they are read."""
        with readable(self.name), self.files.open(self.path, "rb") as file:
            yield file

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The bytes, unpacked. Raises ConfigError, also while they are read."""
        with self.stored() as file:
            if self.packing is None:
                yield file
                return
            import pyarrow as pa

            with pa.CompressedInputStream(pa.PythonFile(file, "r"), self.packing) as unpacked:
                yield unpacked


@dataclass
class Place:
    """The files that a user named, in the order in which they are read."""

    name: str
    parts: list[Part]
    told: list[str] = field(default_factory=list)
    """Sentences on what was found by looking."""
    _spool: Any = None  # standard input's copy, which lives as long as the place

    @cached_property
    def digest(self) -> str:
        """Of the stored content of all files, in hexadecimal digits. Raises ConfigError."""
        digest = hashlib.sha256()
        for part in self.parts:
            with part.stored() as file:
                while some := file.read(1 << 20):
                    digest.update(some)
        return digest.hexdigest()


def opened(place: str, form: str = "") -> Place:
    """The files at a place: `-` is standard input.

    `form` is one of `FORMATS` where the names do not say it, or one of the field's own formats.
    Raises ConfigError for what is not there, is of no kind that can be read, or is not what its
    name says.
    """
    if not place:
        raise ConfigError("name a file, a folder, a pattern or a URL, or - for standard input")
    if form in statements.FORMATS:
        return _statements(place, form)
    if form and form not in FORMATS:
        known = ", ".join((*FORMATS, *statements.FORMATS))
        raise ConfigError(f"--format {form}: expected one of {known}")
    if place == STDIN:
        return spooled(sys.stdin.buffer, name_of(place), form)
    if is_stream(place):
        with readable(place), Path(place).open("rb") as pipe:
            return spooled(pipe, place, form)
    with readable(place):
        files, path, names, told = _found(place, form)
    parts = [_part(files, _shown(place, path, name), name, form) for name in names]
    for part in parts:
        with part.opened() as file:
            if problem := fault(part.kind, file.read(HEAD)):
                raise ConfigError(f"{part.name}: {problem}")
    return Place(place, parts, told)


def check(place: str, form: str = "") -> None:
    """Raises ConfigError where there is no file at a place. Of what can be read once nothing is
    read.
    """
    if not is_stream(place):
        with readable(place):
            _found(place, form)


def _statements(name: str, form: str) -> Place:
    """The rows that the field's own formats hold, in a file that lives as long as the place."""
    from model.files.formats.as_rows import as_rows

    with readable(name):
        files, paths, told = _statement_files(name, form)
    if "file" not in files.protocol:
        raise ConfigError(f"{name}: {form} is read from local files: copy it first")
    folder, shown = Path(tempfile.mkdtemp(prefix="tidegate-")), name_of(name)
    place = Place(shown, [Part(shown, "jsonl", None, files, str(folder / "rows.jsonl"))], told)
    weakref.finalize(place, shutil.rmtree, folder, ignore_errors=True)
    with as_files([Path(path) for path in paths]) as sources:
        told += as_rows(sources, folder / "rows.jsonl", form)
    return place


def _statement_files(
    name: str, form: str
) -> tuple[fsspec.AbstractFileSystem, list[str], list[str]]:
    """The file system, the files there, and what there is to tell of them."""
    import fsspec

    if is_stream(name):
        return fsspec.filesystem("file"), [name], []
    files, _, paths, told = _found(name, form)
    return files, paths, told


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Say of a file which one it is, when it cannot be read. Raises ConfigError."""
    try:
        yield
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {name}") from error
    except ImportError as error:  # the package for this kind of URL
        raise ConfigError(f"cannot read {name}: {error}") from error
    except (OSError, ValueError, NotImplementedError, KeyError) as error:  # Arrow's are of all four
        why = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ConfigError(f"cannot read {name}: {why}") from error


def _found(place: str, form: str) -> tuple[fsspec.AbstractFileSystem, str, list[str], list[str]]:
    """The file system, the path there, its files, and what there is to tell of them."""
    import fsspec

    files, path = fsspec.core.url_to_fs(place)
    if files.isfile(path):
        return files, path, [path], []
    if files.isdir(path):
        there, what = files.find(path), "folder"
        if lake := next((kind for sign, kind in _LAKES.items() if sign in str(there)), ""):
            raise ConfigError(
                f"{place} is {lake}, whose folder also has files of the past: export it, as CSV or "
                "Parquet"
            )
    else:
        there, what = [name for name in files.glob(path) if files.isfile(name)], "pattern"
        if not any(sign in place for sign in "*?["):
            raise FileNotFoundError(place)
    there = sorted(name for name in there if not _is_hidden(name[len(path.rstrip("/")) :], what))
    names = [name for name in there if form or _kind_of(name) is not None]
    if not names:
        raise ConfigError(f"the {what} {place} has no file that can be read: those are {_KNOWN}")
    told = [f"{count(len(names), 'file')}, in the order of their names: {_listed(names)}"]
    if left_out := [name for name in there if name not in set(names)]:
        told.append(f"{count(len(left_out), 'file')} of other kinds left out: {_listed(left_out)}")
    return files, path, names, told


def _is_hidden(below: str, what: str) -> bool:
    """Whether a file below a folder is none of its data, such as _SUCCESS and .crc."""
    steps = PurePosixPath(below).parts if what == "folder" else PurePosixPath(below).parts[-1:]
    return any(step.startswith((".", "_")) for step in steps)


def _listed(names: list[str]) -> str:
    short = [PurePosixPath(name).name for name in names]
    return ", ".join(short if len(short) <= 4 else [*short[:2], "...", short[-1]])


def _shown(place: str, path: str, name: str) -> str:
    """What to call a file: a single one as the user does, others by what tells them apart."""
    if name == path:
        return place
    inside = name.removeprefix(path.rstrip("/") + "/")
    return inside if inside != name else PurePosixPath(name).name


def _kind_of(name: str) -> tuple[Kind, Packing | None, str | None] | None:
    """Kind, packing and separator by a file's name; None where it says none that can be read."""
    path = PurePosixPath(name.lower())
    packing = _PACKINGS.get(path.suffix)
    if packing is not None:
        path = path.with_suffix("")
    kind = KINDS.get(path.suffix)
    if kind is None or (packing is not None and kind not in {"csv", "jsonl"}):
        return None
    return kind, packing, "\t" if path.suffix == ".tsv" else None


def _part(files: fsspec.AbstractFileSystem, name: str, path: str, form: str) -> Part:
    by_name = _kind_of(path)
    if form:
        packing = _PACKINGS.get(PurePosixPath(path.lower()).suffix)
        by_name = (_format(form), packing, by_name[2] if by_name else None)
    if by_name is None:
        raise ConfigError(
            f"{name}: do not know this kind of file; those that can be read are {_KNOWN}. "
            f"Or say what it is by --format {'|'.join((*FORMATS, *statements.FORMATS))}"
        )
    kind, packing, separator = by_name
    return Part(name, kind, packing, files, path, separator)


def _format(form: str) -> Kind:
    return next(kind for kind in FORMATS if kind == form)


def spooled(source: IO[bytes], name: str, form: str) -> Place:
    """A copy of what comes, because it is read more than once; `name` is what to call it.

    Its kind is looked for in it where `form` names none. Raises ConfigError.
    """
    import fsspec

    spool = tempfile.NamedTemporaryFile(prefix="tidegate-")  # noqa: SIM115 - closed with the place
    shutil.copyfileobj(source, spool)
    spool.flush()
    files = fsspec.filesystem("file")
    with Path(spool.name).open("rb") as file:
        packing = packing_of(file.read(HEAD))
    with Part(name, "csv", packing, files, spool.name).opened() as unpacked:
        start = unpacked.read(HEAD)
    kind = _format(form) if form else kind_of(start)
    if problem := fault(kind, start):
        raise ConfigError(f"{name}: {problem}")
    told = [] if form else [f"{name} is read as {kind}"]
    return Place(name, [Part(name, kind, packing, files, spool.name)], told, spool)
