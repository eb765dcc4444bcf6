"""The journal of `send`: what one Kafka has acknowledged, through crashes and full files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.files import acknowledged
from producers.files.acknowledged import Acknowledged, hashes_of
from tidegate.errors import TidegateError


@settings(deadline=None)
@given(runs=st.lists(st.lists(st.integers(0, 40), max_size=9), max_size=8))
def test_it_knows_what_was_added_before_it_was_opened(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[int]]
) -> None:
    """Files of five rows: several are full after a while, and sorted."""
    folder = tmp_path_factory.mktemp("journal")
    everything = np.arange(50, dtype=np.uint64)
    added: set[int] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acknowledged, "SEGMENT", 5)
        for run in runs:
            with Acknowledged(folder, "a") as journal:
                for number in run:
                    journal.add(np.array([number], np.uint64))
                assert set(everything[journal.known(everything)].tolist()) == added
            added |= set(run)
        with Acknowledged(folder, "another") as journal:
            assert not journal.known(everything).any()


def test_the_oldest_rows_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledged, "SEGMENT", 10)
    monkeypatch.setattr(acknowledged, "MOST_SEGMENTS", 2)
    with Acknowledged(tmp_path, "a") as journal:
        for start in range(0, 40, 10):
            journal.add(np.arange(start, start + 10, dtype=np.uint64))
    with Acknowledged(tmp_path, "a") as journal:
        assert journal.known(np.arange(40, dtype=np.uint64)).tolist() == [False] * 20 + [True] * 20


def test_several_processes_add_to_one_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by its own open files, between which the locks hold as between processes."""
    monkeypatch.setattr(acknowledged, "SEGMENT", 100)

    def add(number: int) -> None:
        hashes = np.arange(500 * number, 500 * (number + 1), dtype=np.uint64)
        with Acknowledged(tmp_path, "a") as journal:
            for start in range(0, 500, 7):
                journal.add(hashes[start : start + 7])
            journal.note(f"file {number}", 500)

    with ThreadPoolExecutor(4) as processes:
        list(processes.map(add, range(4)))
    with Acknowledged(tmp_path, "a") as journal:
        assert journal.known(np.arange(2000, dtype=np.uint64)).all()
        assert [journal.rows_of(f"file {number}") for number in range(4)] == [500] * 4


def test_half_a_hash_of_another_process_moves_none_behind_it(tmp_path: Path) -> None:
    with Acknowledged(tmp_path, "a") as journal:
        with (journal.folder / "newest").open("ab") as crashed:
            crashed.write(b"abc")
        journal.add(np.array([1, 2], np.uint64))
    with Acknowledged(tmp_path, "a") as journal:
        assert journal.known(np.array([1, 2], np.uint64)).all()


def test_a_file_has_one_sender_at_a_time(tmp_path: Path) -> None:
    with (
        Acknowledged(tmp_path, "a") as first,
        Acknowledged(tmp_path, "a") as second,
        first.only_sender("digest", "a.csv"),
    ):
        with second.only_sender("another", "b.csv"):
            pass
        with (
            pytest.raises(TidegateError, match=r"a\.csv is being sent .* by another process"),
            second.only_sender("digest", "a.csv"),
        ):
            pass
    with Acknowledged(tmp_path, "a") as later, later.only_sender("digest", "a.csv"):
        pass
    assert not list(tmp_path.glob("*/*.sending"))


def test_a_row_cut_short_by_a_crash_is_not_known(tmp_path: Path) -> None:
    lines = [b'{"a":1}', b'{"a":2}']
    with Acknowledged(tmp_path, "a") as journal:
        journal.add(hashes_of(lines))
        newest = journal.folder / "newest"
    newest.write_bytes(newest.read_bytes()[:-1])
    with Acknowledged(tmp_path, "a") as journal:
        assert journal.known(hashes_of(lines)).tolist() == [True, False]
        journal.add(hashes_of(lines[1:]))
    with Acknowledged(tmp_path, "a") as journal:
        assert journal.known(hashes_of(lines)).all()
