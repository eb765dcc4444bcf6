"""What became of each row of a file that was sent: its own columns, and the decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from model.files.reader import Reader
from model.files.rows import REFUSAL_COLUMNS, Rows
from producers.files.decided import Decided
from tidegate.messages.frames import DECISIONS
from tidegate.profile import Profile

CSV, PARQUET = "results.csv", "results.parquet"
COLUMNS = ("outcome", "decision", "score", "risk_level", "reasons", "problem")
"""What stands behind the file's own columns; a name that the file has is put behind `tidegate_`."""
BINS = 50
"""Of the scores' histogram, from 0 to 1."""
_BATCH = 5_000
_FEW = 20
_FORMULA = r"^\s*[=+\-@\t\r]"
_NUMBER = r"^[+\-]?\d+([.,]\d+)*([eE][+\-]?\d+)?$"


Look = Callable[[Sequence[str]], Mapping[str, Decided]]
"""The rows with these ids, by id."""


@dataclass(slots=True)
class Summary:
    """Counts of the results: `outcomes` add up to the rows that were read."""

    rows: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    decisions: dict[str, int] = field(default_factory=dict)
    histogram: dict[str, list[int]] = field(default_factory=dict)
    """Scores by decision, `BINS` each."""
    reasons: list[tuple[str, int]] = field(default_factory=list)
    """The features and rules that were named most often."""
    problems: dict[str, int] = field(default_factory=dict)
    """Refused rows by reason."""
    first: list[dict[str, Any]] = field(default_factory=list)
    """The riskiest rows: number, id, decision, score and reasons."""


class _Row(msgspec.Struct):
    """What is put behind one row."""

    outcome: str
    decision: str | None = None
    score: float | None = None
    risk_level: str | None = None
    reasons: str | None = None
    problem: str | None = None


def write_results(
    reader: Reader,
    folder: Path,
    refused: Mapping[int, str],
    look: Look,
    began_us: int,
    progress: Callable[[int], None] = lambda _rows: None,
) -> Summary:
    """Write `CSV` and `PARQUET` into `folder`.

    `refused`: what is wrong with rows, by number. A row of the database from before `began_us` was
    known already. Raises ConfigError where the file cannot be read again.
    """
    summary, counts = Summary(), _Counts()
    with ExitStack() as stack:
        writer = stack.enter_context(closing(_Writer(folder)))
        for rows in reader.rows(_BATCH):
            found = look([reader.profile.stored_id(name) for name in rows.ids])
            outcomes = _outcomes(reader.profile, rows, refused, found, began_us)
            counts.add(rows, outcomes, found)
            writer.write(rows, outcomes)
            progress(counts.rows)
    counts.into(summary)
    return summary


def _outcomes(
    profile: Profile,
    rows: Rows,
    refused: Mapping[int, str],
    found: Mapping[str, Decided],
    began_us: int,
) -> list[_Row]:
    outcomes = []
    for number, name in zip(rows.numbers.tolist(), rows.ids, strict=True):
        row = found.get(profile.stored_id(name))
        if number in refused:
            outcomes.append(_Row("rejected", problem=refused[number]))
        elif row is None:
            outcomes.append(_Row("not decided"))
        else:
            outcomes.append(
                _Row(
                    "scored" if row.ingested_us >= began_us else "known",
                    row.decision,
                    row.score,
                    row.risk_level,
                    ", ".join(row.reasons),
                )
            )
    return outcomes


class _Counts:
    """Adds up a summary."""

    def __init__(self) -> None:
        self.rows = 0
        self._outcomes = Counter[str]()
        self._decisions = Counter[str]()
        self._reasons = Counter[str]()
        self._problems = Counter[str]()
        self._histogram = {name: np.zeros(BINS, np.int64) for name in DECISIONS}
        self._first: list[dict[str, Any]] = []

    def add(self, rows: Rows, outcomes: Sequence[_Row], found: Mapping[str, Decided]) -> None:
        """Count a batch."""
        self.rows += len(outcomes)
        self._outcomes.update(one.outcome for one in outcomes)
        self._problems.update(one.problem for one in outcomes if one.problem)
        decided = [one for one in outcomes if one.decision]
        self._decisions.update(one.decision for one in decided if one.decision)
        for name, bins in self._histogram.items():
            scores = [one.score for one in decided if one.decision == name]
            bins += np.histogram(np.array(scores, np.float64), BINS, (0.0, 1.0))[0]
        self._reasons.update(name for row in found.values() for name in row.reasons)
        self._note_first(rows, outcomes)

    def _note_first(self, rows: Rows, outcomes: Sequence[_Row]) -> None:
        scores = np.array([-1.0 if one.score is None else one.score for one in outcomes])
        for place in np.argsort(-scores, kind="stable")[:_FEW].tolist():
            if scores[place] >= 0:
                one = {"row": int(rows.numbers[place]), "id": rows.ids[place]}
                self._first.append(one | msgspec.to_builtins(outcomes[place]))
        self._first = sorted(self._first, key=lambda one: -one["score"])[:_FEW]

    def into(self, summary: Summary) -> None:
        """Give out what was counted."""
        summary.rows = self.rows
        summary.outcomes, summary.decisions = dict(self._outcomes), dict(self._decisions)
        summary.histogram = {name: bins.tolist() for name, bins in self._histogram.items()}
        summary.reasons = self._reasons.most_common(_FEW)
        summary.problems = dict(self._problems.most_common(_FEW))
        summary.first = self._first


class _Writer:
    """Both files, written batch by batch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._csv: pa_csv.CSVWriter | None = None
        self._parquet: pa_parquet.ParquetWriter | None = None

    def write(self, rows: Rows, outcomes: Sequence[_Row]) -> None:
        """Add rows. The CSV's texts are no formulas to a spreadsheet; Parquet has them as read."""
        batch = _with_outcomes(_cells(rows), outcomes)
        if self._parquet is None:
            self._parquet = pa_parquet.ParquetWriter(self._folder / PARQUET, batch.schema)
            self._csv = pa_csv.CSVWriter(self._folder / CSV, batch.schema)
        self._parquet.write_batch(batch)
        harmless = [_harmless(column) for column in batch.columns]
        if self._csv is not None:
            self._csv.write_batch(pa.record_batch(harmless, schema=batch.schema))

    def close(self) -> None:
        for file in (self._csv, self._parquet):
            if file is not None:
                file.close()


def _cells(rows: Rows) -> pa.RecordBatch:
    """The file's own columns as texts, less what an earlier list of refused rows put before."""
    names = [name for name in rows.cells.schema.names if name not in REFUSAL_COLUMNS]
    batch = rows.cells.select(names)
    arrays = [column.cast(pa.string()) for column in batch.columns]
    return pa.record_batch(arrays, names=[_cleared(name) for name in names])


def _cleared(name: str) -> str:
    """A column's name that is no formula."""
    return f"'{name}" if name[:1] in "=+-@\t\r" else name


def _with_outcomes(cells: pa.RecordBatch, outcomes: Sequence[_Row]) -> pa.RecordBatch:
    kinds = {"score": pa.float64()}
    taken = set(cells.schema.names)
    arrays = list(cells.columns)
    names = list(cells.schema.names)
    for name in COLUMNS:
        values = [getattr(one, name) for one in outcomes]
        arrays.append(pa.array(values, kinds.get(name, pa.string())))
        names.append(f"tidegate_{name}" if name in taken else name)
    return pa.record_batch(arrays, names=names)


def _harmless(column: pa.Array) -> pa.Array:
    """Texts that a spreadsheet would run as formulas get an apostrophe before them; numbers stay.

    See OWASP, "CSV Injection".
    """
    if not pa.types.is_string(column.type):
        return column
    formula = pc.match_substring_regex(column, _FORMULA)
    number = pc.match_substring_regex(column, _NUMBER)
    risky = pc.and_(formula, pc.invert(number))
    if not pc.any(risky).as_py():
        return column
    return pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)


def refused_rows(path: Path) -> dict[int, str]:
    """What is wrong with the rows in a file that `producers.files.rejects` wrote, by number."""
    if not path.exists():
        return {}
    found = _json_lines(path) if path.suffix == ".jsonl" else _csv_rows(path)
    return {
        int(number): f"{name}: {detail}" if name and not detail.startswith(name) else detail
        for number, name, detail in found
    }


def _json_lines(path: Path) -> Iterator[tuple[str, str, str]]:
    with path.open("rb") as file:
        for line in file:
            row = msgspec.json.decode(line)
            yield row["refused_row"], row["refused_field"], row["refused_detail"]


def _csv_rows(path: Path) -> Iterator[tuple[str, str, str]]:
    wanted = ["refused_row", "refused_field", "refused_detail"]
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted
    )
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    table = pa_csv.read_csv(path, parse_options=parse, convert_options=options)
    columns = [table.column(name).to_pylist() for name in wanted]
    for number, name, detail in zip(*columns, strict=True):
        yield number, name or "", detail or ""
