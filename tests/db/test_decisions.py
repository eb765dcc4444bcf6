from __future__ import annotations

from pathlib import Path

from db.decisions import Decisions, read_decisions
from tests.db.scored import NAMES, Writer, values

DAY_US = 86_400_000_000


def rows_of(decisions: Decisions) -> list[tuple[str, int, bool]]:
    columns = decisions.ids, decisions.times.tolist(), decisions.flagged.tolist()
    return list(zip(*columns, strict=True))


def test_decisions_of_one_profile_by_event_time(writer: Writer, url: str) -> None:
    assert rows_of(read_decisions(url, NAMES.hash, 1)) == []
    writer.write(
        *values(["old"], event_us=DAY_US),
        *values(["a", "b"], event_us=2 * DAY_US),
        *values(["late"], event_us=DAY_US + 1, decision=2),
    )
    decisions = read_decisions(url, NAMES.hash, 1)
    assert rows_of(decisions) == [
        ("a", 2 * DAY_US, False),
        ("b", 2 * DAY_US, False),
        ("late", DAY_US + 1, True),
    ]
    assert len(read_decisions(url, NAMES.hash, 2).ids) == 4
    assert decisions.others == 0


def test_rows_of_another_version_of_the_profile_are_counted_apart(writer: Writer, url: str) -> None:
    writer.write(*values(["a", "b"]))
    older = read_decisions(url, "ffff0000", 9)
    assert (rows_of(older), older.others) == ([], 2)


def test_a_database_without_tables_holds_nothing(empty: str) -> None:
    decisions = read_decisions(empty, NAMES.hash, 1)
    assert (rows_of(decisions), decisions.others) == ([], 0)
    assert (decisions.times.shape, decisions.came_in.shape) == ((0,), (0,))


def test_reading_makes_no_file(tmp_path: Path) -> None:
    read_decisions(f"sqlite:///{tmp_path / 'nothing.db'}", NAMES.hash, 1)
    assert list(tmp_path.iterdir()) == []
