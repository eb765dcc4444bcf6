"""What became of a file that was sent."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Rejection:
    """A row that was refused. `row` counts from 1, without a header.

    `detail` shows no value; `cells` shows the row where that was asked for.
    """

    row: int
    field: str
    reason: str
    detail: str
    cells: str = ""

    @property
    def sentence(self) -> str:
        """The row, the field and what is wrong."""
        where = f"row {self.row:,}" + (f", {self.field}" if self.field else "")
        detail = self.detail.removeprefix(f"{self.field}: ")
        return f"{where}: {self.reason}: {detail}" + (f" ({self.cells})" if self.cells else "")


@dataclass(slots=True)
class Sent:
    """What became of a file. `rows` and `dead_letters` are None when nobody waited for them."""

    read: int = 0
    acknowledged_before: int = 0
    """Rows that were not posted because this Kafka has acknowledged them before."""
    posted: int = 0
    accepted: int = 0
    distinct: int = 0
    rows: int | None = None
    dead_letters: int | None = None
    from_us: int | None = None
    """The earliest time of the rows that the profile takes; None where it has none."""
    to_us: int | None = None
    rejected: int = 0
    rejected_by_reason: dict[str, int] = field(default_factory=dict)
    rejections_file: str = ""
    first_rejections: list[Rejection] = field(default_factory=list)
    unknown_columns: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Sentences on rows that are sent, but may not be what was meant."""
    seconds: float = 0.0
