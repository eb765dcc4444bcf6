"""What cells say of a column: forms of numbers and times, words of verdicts."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from model.drafting.draft import draft
from model.drafting.evidence import column_of
from model.drafting.label import choose_label
from model.drafting.moment import choose_time
from model.drafting.number_form import number_form
from model.drafting.sample import Sample, texts_of
from model.drafting.time_form import time_form
from model.drafting.writing import flow, written


def sample_of(**columns: list[str | None]) -> Sample:
    arrays = {name: pa.array(cells, pa.string()) for name, cells in columns.items()}
    return Sample(arrays, len(next(iter(columns.values()))), {}, {})


@pytest.mark.parametrize(
    ("cells", "marks"),
    [
        (["1.50", "2"], (".", "")),
        (["1.234,50", "9,90-"], (",", ".")),
        (["1,234.50", "(19.99)"], (".", ",")),
        (["$1,234", "$5.00"], (".", ",")),
        (["1 234,5", "2"], (",", " ")),
        (["1'234.50"], (".", "'")),
        (["1.234"], (".", "")),
        (["1.234.567", "1.234"], (",", ".")),
        (["0,5", "12,25 €"], (",", "")),
    ],
)
def test_the_marks_of_numbers(cells: list[str], marks: tuple[str, str]) -> None:
    form = number_form(cells)
    assert form is not None
    assert (form.decimal_mark, form.thousands) == marks


@pytest.mark.parametrize("cells", [["09.12.25"], ["1.2.3"], ["1,5", "1.5"], ["12:30"], ["A1"], []])
def test_what_is_no_number(cells: list[str]) -> None:
    assert number_form(cells) is None


@given(st.decimals(-(10**9), 10**9, places=2, allow_nan=False), st.sampled_from([",.", ".,"]))
def test_a_number_is_read_as_it_was_written(value: object, marks: str) -> None:
    text = f"{value:,.2f}".translate(str.maketrans(",.", marks))
    form = number_form([text, "1,00".translate(str.maketrans(",", marks[1]))])
    assert form is not None
    assert float(str(value)) in (form.low, form.high)


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2026-01-31", "2026-02-01T10:00Z"], ""),
        (["2026-01-31 10:00:00.1234567"], ""),
        (["31.12.2025", "01.01.2026"], "%d.%m.%Y"),
        (["12/31/2025"], "%m/%d/%Y"),
        (["31/12/2025 23:59"], "%d/%m/%Y %H:%M"),
        (["05-Jan-2026"], "%d-%b-%Y"),
        (["2022/09/01 00:20"], "%Y/%m/%d %H:%M"),
    ],
)
def test_the_forms_of_times(cells: list[str], form: str) -> None:
    found = time_form(cells)
    assert found is not None
    assert found.format == form


def test_day_and_month_that_could_change_places_are_told() -> None:
    found = time_form(["01/02/2026", "03/04/2026"])
    assert found is not None
    assert found.unsure


def test_a_total_among_dates_does_not_make_them_texts() -> None:
    days = [f"{day:02}.01.2026" for day in range(1, 31)]
    column = column_of("Datum", pa.array([*days, "Summe"]))
    assert column.times is not None
    assert column.odd == "Summe"


@pytest.mark.parametrize(
    ("name", "first", "step", "unit"),
    [
        ("created", 1_767_225_600, 60, "s"),
        ("created", 1_767_225_600_000, 60_000, "ms"),
        ("created", 1_767_225_600_000_000, 60_000_000, "us"),
        ("created", 1_767_225_600_000_000_000, 60_000_000_000, "ns"),
    ],
)
def test_the_unit_of_times_since_1970(name: str, first: int, step: int, unit: str) -> None:
    cells = pa.array([str(first + step * row) for row in range(50)])
    moment = choose_time({name: column_of(name, cells)}, {})
    assert moment.choice.options == {"unit": unit}
    assert "2026-01-01" in moment.choice.why
    assert moment.span == 49 * 60 * 1_000_000


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (["0"] * 95 + ["1"] * 5, {}),
        (["No"] * 95 + ["Yes"] * 5, {"fraud": "Yes", "legitimate": "No"}),
        (["2"] * 60 + ["0"] * 35 + ["1"] * 5, {"unknown": "2"}),
        (["green"] * 95 + ["red"] * 5, {"fraud": "red", "legitimate": "green"}),
        (["0.0"] * 95 + ["1.0"] * 5, {"fraud": "1.0", "legitimate": "0.0"}),
    ],
)
def test_the_words_of_verdicts(cells: list[str], options: dict[str, str]) -> None:
    found = choose_label({"fraud": column_of("fraud", pa.array(cells))}, {})
    assert found.options == options
    assert "5 of " in found.why


def test_a_column_of_whoever_has_no_known_name_is_found_by_its_values() -> None:
    words = ["genuine"] * 40 + ["fraud"] * 2
    found = choose_label({"resultat": column_of("resultat", pa.array(words))}, {})
    assert found.columns == ("resultat",)


@given(st.dictionaries(st.text(), st.lists(st.text(), min_size=1), max_size=4))
def test_what_is_written_is_read_back(value: dict[str, list[str]]) -> None:
    assert yaml.safe_load(flow(value)) == value


def test_names_that_yaml_or_python_take_for_something_else_become_fields() -> None:
    names = ["no", "class", "Betrag (€)", "1st", "__x", "a b", "A B", "null"]
    sample = sample_of(**{name: ["x1", "x2", "x2"] for name in names})
    fields = yaml.safe_load(written(draft(sample), "f.csv"))["fields"]
    assert all(isinstance(name, str) and name.isidentifier() for name in fields)
    columns = {field.get("column", name) for name, field in fields.items()}
    assert columns >= set(names)


def test_a_feature_never_takes_the_name_of_a_field() -> None:
    rows = 1200
    sample = sample_of(
        user_id=[f"u{row % 30}" for row in range(rows)],
        amount=[f"{row % 90}.50" for row in range(rows)],
        timestamp=[f"2026-01-{1 + row % 28:02}T10:00:00Z" for row in range(rows)],
        user_count_1d=["3", "4", "5"] * (rows // 3),
        amount_log=["1.5", "2.5"] * (rows // 2),
    )
    document = yaml.safe_load(written(draft(sample), "f.csv"))
    assert not set(document["fields"]) & set(document["features"])
    assert document["features"]["user_count_1d_here"]["op"] == "count"


def test_a_draft_looks_at_the_texts_that_the_reader_reads() -> None:
    moments = [datetime(2026, 1, 2, 3, 4, 5), datetime(2026, 1, 2, 3, 4, 5, 250)]
    columns = {
        "text": (pa.array([b"shop", b"\xff\x01"]), ["shop", "ff01"]),
        "time": (pa.array(moments), ["2026-01-02T03:04:05", "2026-01-02T03:04:05.000250"]),
        "number": (pa.array([1.5, float("nan")]), ["1.5", None]),
    }
    for kind, (cells, expected) in columns.items():
        text, typed = texts_of(cells)
        assert text.to_pylist() == expected
        assert typed == ("" if kind == "text" else kind)
