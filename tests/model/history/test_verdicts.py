"""Files with verdicts: ids are texts, as they stand."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.history.verdicts import read_verdicts
from tests.model.history.payments import profile_in
from tidegate.errors import ConfigError


def write(folder: Path, text: str) -> str:
    path = folder / "verdicts.csv"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "ids",
    [
        ["00001234", "00005678"],
        ["4613314721966000001", "4613314721966000002", "", "7"],
        ["12E45", "NA", "None", "null", "nan", "0x10", "true", "1.0"],
    ],
)
def test_an_id_is_the_text_that_stands_there(ids: list[str], tmp_path: Path) -> None:
    """Alone, and beside cells of other kinds or empty ones."""
    lines = [f"{name},{i % 2}" for i, name in enumerate(ids)]
    found = read_verdicts(
        profile_in(tmp_path),
        write(tmp_path, "\n".join(["ref,chargeback", *lines])),
    )
    assert found.frauds == {name: bool(i % 2) for i, name in enumerate(ids) if name}
    assert found.refusals.total == ids.count("")


def test_of_several_verdicts_the_last_counts_and_the_silent_count_for_nothing(
    tmp_path: Path,
) -> None:
    place = write(tmp_path, "ref,chargeback\na,1\nb,1\nc,\na,0\nd,0\n")
    found = read_verdicts(profile_in(tmp_path), place)
    assert found.frauds == {"b": True, "a": False, "d": False}
    assert list(found.frauds) == ["b", "a", "d"]
    assert found.sentences() == [
        f"{place}: 5 rows read, 1 without a verdict, 1 with the id of a later one"
    ]


def test_a_verdict_without_an_id_is_left_out(tmp_path: Path) -> None:
    place = write(tmp_path, "ref,chargeback\n" + "a,1\n" * 99 + ",1\n")
    found = read_verdicts(profile_in(tmp_path), place)
    assert found.frauds == {"a": True}
    assert "row 100, field 'ref': this field is required" in found.sentences()[1]


def test_ids_that_lost_their_digits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.parquet"
    pq.write_table(pa.table({"ref": [1234.0, None], "chargeback": [1, None]}), path)
    found = read_verdicts(profile_in(tmp_path), str(path))
    assert (found.frauds, found.refusals.total, found.silent) == ({}, 1, 1)
    assert "row 1, field 'ref'" in found.sentences()[1]


def test_a_file_without_ids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ref"):
        read_verdicts(profile_in(tmp_path), write(tmp_path, "id,chargeback\na,1\n"))


def test_the_same_file_gives_the_same_digest(tmp_path: Path) -> None:
    profile, text = profile_in(tmp_path), "ref,chargeback\na,1\n"
    first = read_verdicts(profile, write(tmp_path, text)).digest
    assert read_verdicts(profile, write(tmp_path, text)).digest == first
    assert read_verdicts(profile, write(tmp_path, text + "b,1\n")).digest != first
