"""Files in the field's formats written as rows that the reader takes."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec

from model.files.formats.detect import detect, reader
from model.files.formats.entry import AMOUNTS, REPEAT, Entry, Items, Refused, Told
from tidegate.errors import ConfigError

LEFT_OUT = frozenset({"not_booked", "not_a_payment", REPEAT})
"""Reasons of entries that are rightly no rows; all others are faults of the file."""
_SHOWN = 5


@dataclass
class Converted:
    """What became of the files: how many had which format, rows written, and entries that are no
    rows by reason.
    """

    formats: Counter[str] = field(default_factory=Counter)
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
    sources: Sequence[Path],
    out: Path,
    name: str = "",
    last_day: date | None = None,
    rejects: Path | None = None,
) -> Converted:
    """Write the entries of `sources` to `out` (`.csv` or `.jsonl`), and those that are no rows to
    `rejects`, by default beside it. Nothing is left behind if a file cannot be read to its end.

    What one of the statements before has already is a repeat. `name`: the format, "" to find it by
    looking. Raises ConfigError.
    """
    _check(sources, out)
    done = Converted()
    rejects = rejects or out.with_name(f"{out.stem}.rejects.csv")
    with _written(out) as write, _table(rejects, Refused._fields) as reject:
        for refused in _rows(_items(sources, name, last_day, done), write, done):
            done.refused[refused.reason] += 1
            reject(refused)
            if len(done.first_refused) < _SHOWN:
                done.first_refused.append(refused)
    if done.refused:
        done.rejects = str(rejects)
    else:
        rejects.unlink()
    return done


def _check(sources: Sequence[Path], out: Path) -> None:
    for source in sources:
        if not source.is_file():
            raise ConfigError(f"{source}: there is no such file")
        if out.exists() and out.samefile(source):
            raise ConfigError(f"{out}: is the file itself: name another one for the rows")


def _items(sources: Sequence[Path], name: str, last_day: date | None, done: Converted) -> Items:
    """What all files hold; places name the file where there are several."""
    for source in sources:
        found = name or detect(source)
        done.formats[found] += 1
        empty = True
        for item in reader(found)(source, last_day):
            empty = False
            if isinstance(item, Entry) or len(sources) == 1:
                yield item
            else:
                yield item._replace(place=f"{source.name}: {item.place}")
        if empty:
            raise ConfigError(f"{source}: holds nothing of the format {found}")


def _rows(items: Items, write: _Write, done: Converted) -> Iterator[Refused]:
    seen: set[str] = set()
    for item in items:
        if isinstance(item, Told):
            done.told.append(item)
        elif isinstance(item, Refused):
            yield item
        elif item.id in seen:
            yield Refused(f"row of id {item.id}", "", REPEAT, "stands in a statement before it")
        else:
            seen.add(item.id)
            write(item)
            done.rows += 1


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
