"""JSON lines: one object a line, passed on as it stands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from model.files import encodings
from model.files.columns import Columns
from model.files.marks import Marks
from model.files.places import Part
from model.files.rows import Refusal
from model.files.table_file import Table, texts
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec

_COLUMN = ["line"]
_LONGEST = 16 << 20
"""Bytes of a line."""


class JsonFile:
    """A file of JSON lines."""

    def __init__(self, part: Part, spec: FileSpec) -> None:
        self._part = part
        with part.opened() as file:
            head = file.read(1 << 16)
        found, why = encodings.find(head)
        self._encoding = spec.encoding or found
        self.columns = Columns(_COLUMN, {})
        self.marks = Marks(None, None)
        self.told = [why] if why and not spec.encoding else []
        self.footer = spec.footer
        self.about = part.times(head.count(b"\n"), len(head))

    def tables(self, first: int, size: int) -> Iterator[Table]:
        """All rows. A line that is no text is refused; whether it is an object is not looked at."""
        held: list[bytes] = []
        for lines in self._lines():
            held += lines
            while len(held) >= size:
                yield self._table(held[:size], first)
                first, held = first + size, held[size:]
        if held:
            yield self._table(held, first)

    def _lines(self) -> Iterator[list[bytes]]:
        """The lines that are not blank, some at a time."""
        rest = b""
        with self._part.opened() as file:
            for piece in encodings.as_utf8(file, self._encoding):
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > _LONGEST:
                    raise ConfigError(
                        f"{self._part.name}: a line is over {_LONGEST >> 20} MB long: expected one "
                        "JSON object a line"
                    )
                yield [line for raw in lines if (line := raw.strip())]
        yield [line for line in [rest.strip()] if line]

    def _table(self, lines: list[bytes], first: int) -> Table:
        bad = [i for i, line in enumerate(lines) if not encodings.is_utf8(line)]
        good = np.ones(len(lines), bool)
        good[bad] = False
        refused = [Refusal(first + i, "", "bad_byte", encodings.fault(self._encoding)) for i in bad]
        kept = lines if not bad else [line for i, line in enumerate(lines) if good[i]]
        spoilt = [[lines[i].decode(errors="replace")] for i in bad]
        batch = pa.RecordBatch.from_arrays([pa.array(kept, pa.string())], names=_COLUMN)
        numbers = np.arange(first, first + len(lines))[good]
        return Table(self._part.name, numbers, batch, refused, texts(_COLUMN, spoilt))
