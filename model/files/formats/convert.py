"""A file in one of the field's formats written as rows that the reader takes."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec

from model.files.formats.detect import detect, reader
from model.files.formats.entry import AMOUNTS, Entry, Items, Refused, Told
from tidegate.errors import ConfigError

LEFT_OUT = frozenset({"not_booked", "not_a_payment", "repeat"})
"""Reasons of entries that are rightly no rows; all others are faults of the file."""
_SHOWN = 5


@dataclass
class Converted:
    """What became of a file: rows written, and entries that are no rows by reason."""

    format: str
    rows: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    first_refused: list[Refused] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    rejects: str = ""

    @property
    def good(self) -> bool:
        """Whether no entry is at fault and all totals agree."""
        return self.refused.keys() <= LEFT_OUT and all(told.good for told in self.told)


_Write = Callable[[Entry], object]


def convert(
    source: Path,
    out: Path,
    name: str = "",
    last_day: date | None = None,
    rejects: Path | None = None,
) -> Converted:
    """Write the entries of `source` to `out` (`.csv` or `.jsonl`), and those that are no rows to
    `rejects`, by default beside it. Nothing is left behind if the file cannot be read to its end.

    `name`: the format, "" to find it by looking. Raises ConfigError.
    """
    if not source.is_file():
        raise ConfigError(f"{source}: there is no such file")
    if out.exists() and out.samefile(source):
        raise ConfigError(f"{out}: is the file itself: name another one for the rows")
    done = Converted(name or detect(source))
    rejects = rejects or out.with_name(f"{out.stem}.rejects.csv")
    items = reader(done.format)(source, last_day)
    with _written(out) as write, _table(rejects, Refused._fields) as reject:
        for refused in _rows(items, write, done):
            done.refused[refused.reason] += 1
            reject(refused)
            if len(done.first_refused) < _SHOWN:
                done.first_refused.append(refused)
    if done.refused:
        done.rejects = str(rejects)
    else:
        rejects.unlink()
    if not (done.rows or done.refused or done.told):
        out.unlink()
        raise ConfigError(f"{source}: holds nothing of the format {done.format}")
    return done


def _rows(items: Items, write: _Write, done: Converted) -> Iterator[Refused]:
    for item in items:
        if isinstance(item, Entry):
            write(item)
            done.rows += 1
        elif isinstance(item, Told):
            done.told.append(item)
        else:
            yield item


@contextmanager
def _written(out: Path) -> Iterator[_Write]:
    if out.suffix == ".csv":
        with _table(out, Entry.__struct_fields__) as row:
            yield lambda entry: row(map(_cell, msgspec.structs.astuple(entry)))
    elif out.suffix in (".jsonl", ".ndjson"):
        with _replaced(out) as part, part.open("wb") as file:
            yield lambda entry: file.write(_line(entry))
    else:
        raise ConfigError(f"{out}: expected a name that ends with .csv or .jsonl")


def _line(entry: Entry) -> bytes:
    """One line of JSON, amounts as numbers with the digits that they have as text."""
    fields = msgspec.to_builtins(entry)
    for name in AMOUNTS & fields.keys():
        fields[name] = msgspec.Raw(fields[name].encode())
    return msgspec.json.encode(fields) + b"\n"


def _cell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def _table(path: Path, names: Iterable[str]) -> Iterator[Callable[[Iterable[str]], object]]:
    with _replaced(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        write = csv.writer(file).writerow
        write(names)
        yield write


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A file beside it that takes its place when all went well, and goes away if not."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{error.filename or path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
