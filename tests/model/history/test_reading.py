"""What a history is made of, and what is said of the rows that are left out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from model.history.reading import read_history
from tests.model.history.payments import PROFILE, profile_in, rows, write
from tidegate.clock import day_of
from tidegate.errors import ConfigError

SECRET = "4539.1488.0343.6467"  # noqa: S105 - it is the content of a cell
"""No sentence may show what stands in a cell."""


@pytest.mark.parametrize(
    ("field", "cell", "reason"),
    [
        ("eur", "-45.39", r"out_of_bounds: .* a negative number; expected a number of at least 0"),
        ("eur", SECRET, r"wrong_type: .*field 'eur': .*`thousands`"),
        ("eur", "", r"missing_field: .*field 'eur'"),
        ("payer", "", r"missing_field: .*field 'payer'"),
        ("payer", "x" * 200, r"out_of_bounds: .*field 'payer': .*`max_length`"),
        ("booked_at", "", r"missing_field: .*field 'booked_at'"),
        ("booked_at", SECRET, r"bad_time: .*field 'booked_at': .*"),
        ("booked_at", "1767226200000", r"bad_time: .*field 'booked_at': .*`unit`"),
        ("home", SECRET, r"wrong_type: .*field 'home'"),
        (
            "chargeback",
            "Y",
            r"wrong_type: .*field 'chargeback': .*got a word for yes or no, .*`bool`",
        ),
        ("pieces", "1.5", r"wrong_type: .*field 'pieces'"),
    ],
)
def test_a_bad_cell_costs_its_row_and_is_named(
    field: str, cell: str, reason: str, tmp_path: Path
) -> None:
    lines = rows(100)
    place = write(tmp_path, lines)
    whole = read_history(profile_in(tmp_path), place).history
    names = Path(place).read_text().splitlines()[0].split(",")
    cells = lines[40].split(",")
    cells[names.index(field)] = cell
    lines[40] = ",".join(cells)
    reading = read_history(profile_in(tmp_path), write(tmp_path, lines))
    rest = whole.only(np.arange(100) != 40)
    assert reading.history.ids.to_pylist() == rest.ids.to_pylist()
    assert reading.history.values.tobytes() == rest.values.tobytes(), "no cell minds another row"
    told = reading.sentences()
    assert "100 rows read, 99 used, 2023-01-01 to 2023-01-05; 10 frauds, 89 legitimate" in told[0]
    assert re.search(f"^left out, .*{reason}", told[1]), told[1]
    assert "row 41, " in told[1]
    assert not re.search("45.?39|17672", "".join(told)), told
    facts = reading.facts()
    assert (facts["read"], facts["used"], sum(facts["refused"].values())) == (100, 99, 1)


def test_models_that_need_no_verdicts_take_a_file_without(tmp_path: Path) -> None:
    text = PROFILE.replace("lightgbm: {trees: 10, leaves: 7}", "isolation_forest: {}")
    text = text.replace(", label: chargeback", "")
    place = write(tmp_path, rows(100))
    reading = read_history(profile_in(tmp_path, text), place)
    assert "100 used, 2023-01-01 to 2023-01-05; 0 frauds, 0 legitimate" in reading.sentences()[0]
    for named in (PROFILE.replace("label: chargeback", "label: verdict"), text):
        with pytest.raises(ConfigError, match="has no column 'verdict'"):
            read_history(profile_in(tmp_path, named), place, "verdict")
    learns = PROFILE.replace(", label: chargeback", "")
    with pytest.raises(ConfigError, match=r"has no column 'label'; .* --label"):
        read_history(profile_in(tmp_path, learns), place)


def test_too_many_refused_rows_stop_the_reading(tmp_path: Path) -> None:
    lines = [
        re.sub(r",(\d+\.25),", r",-\1,", line) if i % 10 else line
        for i, line in enumerate(rows(100))
    ]
    profile, place = profile_in(tmp_path), write(tmp_path, lines)
    with pytest.raises(
        ConfigError, match=r"90 of 100 rows are refused, more than 5% of them"
    ) as found:
        read_history(profile, place)
    assert "out_of_bounds: 90 rows, the first row 2, field 'eur'" in str(found.value)
    assert len(read_history(profile, place, most_refused=0.9).history.ids) == 10


def test_a_refused_row_is_told_by_the_column_of_the_file(tmp_path: Path) -> None:
    text = PROFILE.replace("eur: {type: money,", "eur: {type: money, column: Betrag,")
    place = write(tmp_path, [re.sub(r",(\d+\.25),", r",-\1,", rows(2)[0]), rows(2)[1]])
    Path(place).write_text(Path(place).read_text().replace("eur", "Betrag", 1))
    (told,) = read_history(profile_in(tmp_path, text), place, most_refused=1.0).sentences()[1:]
    assert "row 1, field 'eur': in column 'Betrag' a negative number; expected" in told


def test_a_wrong_file_ends_before_all_of_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.files.refusals._LOOK", 10_000)
    lines = [line.replace("2023-01-", "soon-") for line in rows(100)] * 300
    with pytest.raises(ConfigError, match=r"1\d,\d{3} of 1\d,\d{3} rows are refused"):
        read_history(profile_in(tmp_path), write(tmp_path, lines))


def test_a_transaction_counts_once_and_the_log_is_in_the_order_of_its_times(tmp_path: Path) -> None:
    lines = rows(100)
    whole = read_history(profile_in(tmp_path), write(tmp_path, lines)).history
    again = [*reversed(lines), lines[50].replace("shop0", "shop9")]
    reading = read_history(profile_in(tmp_path), write(tmp_path, again))
    assert reading.history.ids.to_pylist() == whole.ids.to_pylist()
    assert reading.history.values.tobytes() == whole.values.tobytes()
    assert reading.history.hashes.tobytes() == whole.hashes.tobytes()
    assert reading.history.labels.tobytes() == whole.labels.tobytes()
    assert reading.history.numbers.tolist() == list(range(100, 0, -1))
    assert reading.repeated == reading.facts()["repeated"] == 1
    assert "left out, 1 row with the id of an earlier one" in reading.sentences()[1]


def test_accounts_are_numbered_by_who_they_are(tmp_path: Path) -> None:
    history = read_history(profile_in(tmp_path), write(tmp_path, rows(100))).history
    assert history.groups.tolist() == [i % 7 for i in range(100)]
    text = re.sub("(?m)^(account|entities|features|  payer_|  payee_).*\n", "", PROFILE)
    text = text.replace("  amount_log", "features:\n  amount_log")
    alone = read_history(profile_in(tmp_path, text), write(tmp_path, rows(100))).history
    assert alone.groups.tolist() == list(range(100))


def test_an_empty_file_is_an_empty_history(tmp_path: Path) -> None:
    reading = read_history(profile_in(tmp_path), write(tmp_path, []))
    assert reading.facts()["read"] == len(reading.history.times) == 0
    assert "0 rows read, 0 used; 0 frauds" in reading.sentences()[0]


@pytest.mark.parametrize(
    ("time", "day", "doubted"),
    [
        ("unit: s", "1970-01-01", True),
        ("unit: hours", "1979-08-25", True),
        ("unit: s, since: 2020-01-01", "2020-01-01", False),
        ("unit: hours, since: 2190-01-01", "2199-08-25", True),
        ("unit: hours, since: 2010-01-01", "2019-08-25", False),
    ],
)
def test_counts_without_the_day_they_count_from_are_doubted(
    time: str, day: str, doubted: bool, tmp_path: Path
) -> None:
    """As S-FFSD has them: `unit` alone says that they are no dates, and not when they begin."""
    profile = profile_in(tmp_path, PROFILE.replace("{type: time", f"{{type: time, {time}"))
    lines = [re.sub(r"2023[^,]*", str(84_567 + i // 9), line) for i, line in enumerate(rows(30))]
    reading = read_history(profile, write(tmp_path, lines))
    assert reading.sentences()[0].startswith(f"{tmp_path / 'history.csv'}: 30 rows read, 30 used")
    assert day_of(int(reading.history.times[0])) == day
    assert bool(reading.warning()) == doubted


def test_why_nothing_could_be_made_of_it_is_said_last(tmp_path: Path) -> None:
    """`up` shows the last line of a training that failed."""
    reading = read_history(profile_in(tmp_path), write(tmp_path, rows(30)))
    with pytest.raises(ConfigError) as raised, reading.explaining():
        raise ConfigError("training needs 10 frauds")
    assert str(raised.value).splitlines()[-1] == "training needs 10 frauds"
    assert "30 rows read, 30 used" in str(raised.value)
