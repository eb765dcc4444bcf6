"""Files as rows: which columns make a field, verdicts, ids, and what is no row."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.files.reader import Reader
from model.files.rows import Rows
from producers.simulator.history import encode_rows, simulate_history
from tests.files.reading import as_csv, as_parquet, outcomes, profile_of
from tidegate.errors import ConfigError
from tidegate.profile import Profile, load_profile

FIELDS = """
  id: {type: string, optional: true}
  who: {type: string, column: [zip, state]}
  at: {type: time, column: [Date, Time, Zone], format: "%m/%d/%Y %H:%M:%S %Z"}
  amount: {type: money, min: -1000000, column: {debit: Soll, credit: Haben}}
  kind: {type: category, open: true, values: [a], column: "Art (€)", optional: true}
"""
HEAD = "zip,state,Date,Time,Zone,Soll,Haben,Art (€)"


def profile_with(folder: Path, fields: str = FIELDS, more: str = "") -> Profile:
    path = folder / "p.yaml"
    path.write_text(
        f"id: id\nfields:{fields}\nmodels: {{isolation_forest: {{trees: 10}}}}\n"
        f"thresholds: {{appetite: balanced}}\n{more or 'history: {file: none.csv}'}\n"
    )
    return load_profile(path)


def read(path: Path, profile: Profile, label: str | None = None) -> Rows:
    (rows,) = Reader(str(path), profile, label).rows()
    return rows


def values(rows: Rows) -> list[dict[str, object]]:
    return [{**msgspec.json.decode(line), "id": None} for line in rows.lines]


def write(folder: Path, *lines: str, name: str = "a.csv") -> Path:
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder / name


@pytest.mark.parametrize("name", ["card", "wallet", "handbook", "creditcard", "vector"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_file_gives_the_transactions_it_was_made_of(
    name: str, suffix: str, tmp_path: Path
) -> None:
    profile = load_profile(name)
    history = simulate_history(profile, 300, 5)
    lines = encode_rows(profile, simulate_history(profile, 300, 5))[1]
    path = tmp_path / f"file{suffix}"
    if suffix == ".parquet":
        history.to_parquet(path)
    elif suffix == ".csv":
        if name == "vector":
            history["data"] = [json.dumps(cell.tolist()) for cell in history["data"]]
        history.to_csv(path, index=False)
    else:
        path.write_bytes(b"\n".join(lines) + b"\n")
    reader = Reader(str(path), profile)
    batches = list(reader.rows(128))
    got = [profile.decode(line) for rows in batches for line in rows.lines]
    wanted = list(map(profile.decode, lines))
    assert list(map(profile.event_us, got)) == list(map(profile.event_us, wanted))
    assert [profile.id_of(tx) for tx in got] == [one for rows in batches for one in rows.ids]
    assert [number for rows in batches for number in rows.numbers] == list(range(1, 301))
    assert not reader.unknown
    assert not reader.made_ids


def test_columns_make_fields_as_the_profile_says(tmp_path: Path) -> None:
    profile = profile_with(tmp_path)
    path = write(
        tmp_path,
        HEAD,
        '00001,NC,06/18/2025,07:47:30,PDT,"53.00",,x',
        "00002,,06/18/2025,07:49:00,PDT,0.00,100.00,",
        ",,06/18/2025,07:49:00,PDT,9.90-,,a",
        "00003,NC,06/18/2025,,PDT,1,2,a",
    )
    rows = read(path, profile)
    at = "2025-06-18T14:47:30Z"
    assert values(rows)[:3] == [
        {"id": None, "who": "00001|NC", "at": at, "amount": -53.0, "kind": "x"},
        {"id": None, "who": "00002|", "at": "2025-06-18T14:49:00Z", "amount": 100.0},
        {"id": None, "at": "2025-06-18T14:49:00Z", "amount": -9.9, "kind": "a"},
    ]
    assert [(one.number, one.field) for one in rows.refused] == [(4, "amount")]
    assert "column 'Soll' and column 'Haben'" in rows.refused[0].detail


def test_json_lines_go_by_the_same_options(tmp_path: Path) -> None:
    profile = profile_with(tmp_path)
    cells = ["00001", "NC", "06/18/2025", "07:47:30", "PDT", 53, None, "x"]
    path = write(
        tmp_path, json.dumps(dict(zip(HEAD.split(","), cells, strict=True))), name="a.jsonl"
    )
    at = "2025-06-18T14:47:30Z"
    assert values(read(path, profile)) == [
        {"id": None, "who": "00001|NC", "at": at, "amount": -53, "kind": "x"}
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_minor_units_are_those_of_each_rows_currency(name: str, tmp_path: Path) -> None:
    fields = """
  id: {type: string}
  sum: {type: money, column: amount, currency: coin, minor: true, min: -100000}
  coin: {type: currency, column: currency}
"""
    profile = profile_with(tmp_path, fields)
    rows = [("a", 1234, "eur"), ("b", 5000, "JPY"), ("c", 12345, " kwd "), ("d", -5, "USD")]
    if name == "a.csv":
        cells = [f"{key},{amount},{code}" for key, amount, code in [*rows, ("e", 5, "XXX")]]
        path = write(tmp_path, "id,amount,currency", *cells)
    else:
        names = ("id", "amount", "currency")
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in [*rows, ("e", 5, "XXX")]]
        path = write(tmp_path, *lines, name=name)
    got = read(path, profile)
    assert [row["sum"] for row in values(got)[:4]] == [12.34, 5000, 12.345, -0.05]
    assert [(one.number, one.field) for one in got.refused] == [(5, "sum")]


def test_a_column_that_is_missing_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD.replace("Haben", "haben "), "1,NC,06/18/2025,07:47:30,PDT,1,,x")
    with pytest.raises(ConfigError, match=r"amount .* column 'Haben': did you mean 'haben'"):
        Reader(str(path), profile_with(tmp_path))
    twice = write(tmp_path, "id,id,x", "1,2,3")
    with pytest.raises(ConfigError, match="column 'id' is there 2 times: say by `column:`"):
        Reader(str(twice), profile_with(tmp_path, "\n  id: {type: string}\n  x: {type: string}"))


def test_columns_of_no_field_are_told_and_kept_where_the_profile_keeps_them(tmp_path: Path) -> None:
    fields = "\n  id: {type: string}\n  x: {type: vector, length: 2, column: v}"
    path = tmp_path / "a.parquet"
    table = {"id": ["a"], "v_0": [1], "v_1": [2.5], "note": ['say "x"'], "n": [0.35], "ok": [True]}
    pq.write_table(pa.table({**table, "label": [1], "none": pa.nulls(1)}), path)
    reader = Reader(str(path), profile_with(tmp_path, fields))
    (rows,) = reader.rows()
    assert reader.unknown == ["note", "n", "ok", "none"]
    assert msgspec.json.decode(rows.lines[0]) == {"id": "a", "x": [1, 2.5]}
    kept = profile_with(tmp_path, fields, "unknown_fields: keep\nhistory: {file: none.csv}")
    (line,) = read(path, kept).lines
    assert msgspec.json.decode(line)["note"] == 'say "x"'
    assert msgspec.json.decode(line).keys() == {"id", "x", "note", "n", "ok"}
    assert kept.decode(line)


WORDS = "\n  id: {type: string}"


@pytest.mark.parametrize(
    ("history", "cells", "labels"),
    [
        ("{}", ["1", "0", "", "Y", "no", "TRUE", "1.0", "f"], [1, 0, -1, 1, 0, 1, 1, 0]),
        ('{fraud: "1.0", legitimate: "0.0"}', ["1.0", "0.0", "1", "0", ""], [1, 0, 1, 0, -1]),
        ("{fraud: [Fraud, chargeback], legitimate: ok}", ["fraud ", "Chargeback", "OK", ""],
         [1, 1, 0, -1]),
        ("{fraud: Yes, legitimate: No, unknown: [open, '?']}", ["yes", "No", "open", "?"],
         [1, 0, -1, -1]),
        ('{fraud: Y, legitimate: ""}', ["Y", "", " "], [1, 0, 0]),
        ("{fraud: 2, legitimate: 1, unknown: 0}", ["2", "1", "0", "2.0"], [1, 0, -1, 1]),
    ],
)  # fmt: skip
def test_verdicts_are_read_by_the_profiles_words(
    history: str, cells: list[str], labels: list[int], tmp_path: Path
) -> None:
    profile = profile_with(tmp_path, WORDS, f"history: {history}")
    path = write(tmp_path, "id,label", *(f"r{i},{cell}" for i, cell in enumerate(cells)))
    assert read(path, profile, "").labels.tolist() == labels
    lines = [json.dumps({"id": f"r{i}", "label": cell}) for i, cell in enumerate(cells)]
    path = write(tmp_path, *lines, name="a.jsonl")
    assert read(path, profile, "").labels.tolist() == labels


def test_days_of_a_workbook_are_read_by_the_files_decimal_mark(tmp_path: Path) -> None:
    fields = "\n  id: {type: string}\n  at: {type: time, unit: days, since: 1899-12-30}"
    profile = profile_with(tmp_path, fields, 'history: {}\nfile: {decimal_mark: ","}')
    rows = read(write(tmp_path, "id;at", "a;45658,25", "b;45658", "c;45,6,1"), profile)
    assert [json.loads(line)["at"] for line in rows.lines[:2]] == [45658.25, 45658]
    assert [refusal.number for refusal in rows.refused] == [3]


def test_a_member_of_an_object_is_read_by_its_path(tmp_path: Path) -> None:
    fields = (
        "\n  id: {type: string}\n  who: {type: string, column: a.b.c}"
        "\n  cents: {type: money, column: a.sum, minor: true, optional: true}"
    )
    profile = profile_with(tmp_path, fields, "history: {label: a.fraud}")
    rows = [
        {"id": "1", "a": {"b": {"c": "x"}, "sum": 1234, "fraud": True}},
        {"id": "2", "a": {"b": {"c": "y"}, "fraud": None}, "z": 1},
        {"id": "3", "a": {"b": []}},
        {"id": "4", "a.b.c": "plain", "a": 5},
    ]
    path = write(tmp_path, *map(json.dumps, rows), name="a.jsonl")
    found = read(path, profile, "")
    assert [json.loads(line) for line in found.lines] == [
        {"id": "1", "who": "x", "cents": 12.34}, {"id": "2", "who": "y"}, {"id": "3"},
        {"id": "4", "who": "plain"},
    ]  # fmt: skip
    assert found.labels.tolist() == [1, -1, -1, -1]
    reader = Reader(str(path), profile)
    assert list(reader.rows())
    assert reader.unknown == ["z"]


def test_a_word_that_is_no_verdict_is_refused_without_being_shown(tmp_path: Path) -> None:
    profile = profile_with(tmp_path, WORDS)
    path = write(tmp_path, "id,label", "a,1", "b,Margarete")
    with pytest.raises(
        ConfigError, match=r"'label', row 2: expected .* got a text of 9 ch"
    ) as caught:
        read(path, profile, "")
    assert "Margarete" not in str(caught.value)
    with pytest.raises(ConfigError, match="no column 'lable': did you mean 'label'"):
        Reader(str(path), profile, "lable")


def test_rows_that_are_none_stand_in_their_order_and_show_nothing(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "{type: money}")
    path = write(tmp_path, "ref,x,other", "a,1,-", "b", "c,Margarete 5,-", "d,2,-")
    rows = read(path, profile)
    assert rows.numbers.tolist() == [1, 2, 3, 4]
    assert [one.number for one in rows.refused] == [2, 3]
    assert rows.ids == ["a", "", "c", "d"]
    assert not any("Margarete" in one.detail for one in rows.refused)
    assert "a text of 11 characters" in rows.refused[1].detail
    assert rows.cells.column("x").to_pylist()[2] == "Margarete 5"


def test_lines_that_are_not_json_are_refused_one_by_one(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "{type: string}")
    lines = ['{"ref": "a"}', "nonsense", "[1]", '{"ref": "b"} {"ref": "c"}', '{"ref": "d"}']
    rows = read(write(tmp_path, *lines, name="a.jsonl"), profile)
    assert [(one.number, one.reason) for one in rows.refused] == [
        (2, "invalid_json"),
        (3, "not_an_object"),
        (4, "invalid_json"),
    ]
    assert rows.lines[0] == b'{"ref": "a"}', "what the API takes stays as it is"
    assert rows.ids == ["a", "", "", "", "d"]


def test_what_cells_say_of_the_hour_that_comes_twice_is_told(tmp_path: Path) -> None:
    profile = profile_with(
        tmp_path,
        "\n  id: {type: string, column: ref}\n  x: {type: time}",
        "file: {zone: Europe/Berlin}\nhistory: {}",
    )
    path = as_csv(tmp_path / "a.csv", ["2026-10-25 02:30:00", "2026-10-25 03:30:00"])
    reader = Reader(str(path), profile)
    for _ in range(2):
        assert [
            msgspec.json.decode(line)["x"] for rows in reader.rows() for line in rows.lines
        ] == [
            "2026-10-25T00:30:00Z",
            "2026-10-25T02:30:00Z",
        ]
    assert [told for told in reader.told if "clocks show twice" in told] == reader.told[-1:]
    assert reader.told[-1].startswith("1 time of an hour")


def test_an_empty_cell_of_csv_is_none_unless_it_is_a_value(tmp_path: Path) -> None:
    closed = profile_of(tmp_path, '{type: category, values: ["x"]}')
    declared = profile_of(tmp_path, '{type: category, values: ["", "x"]}')
    path = as_csv(tmp_path / "a.csv", ["", "x"])
    assert b'"x"' not in outcomes(closed, path)[0]
    assert b'"x":""' in outcomes(declared, path)[0]
    typed = as_parquet(tmp_path / "a.parquet", pa.array(["", "x"]))
    assert outcomes(closed, typed)[0] == "out_of_bounds"
    assert b'"x":""' in outcomes(declared, typed)[0]
