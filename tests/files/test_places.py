"""What a user may name: files, folders, patterns, URLs, standard input; and what they are told."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from model.files.places import check, opened
from model.files.tables import Tables
from tests.files.read import Read, gathered, put
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec

CSV = b"a,b\n1,x\n2,y\n"
ROWS = {1: ["1", "x"], 2: ["2", "y"]}


def of(place: str, form: str = "", **spec: str) -> Read:
    tables = Tables(opened(place, form), FileSpec(**spec))  # type: ignore[arg-type] - a test's own
    return gathered(tables.names, list(tables.read(5000)), tables.told)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", CSV),
        ("ROWS.CSV", CSV),
        ("rows.csv.gz", gzip.compress(CSV, mtime=0)),
        ("rows.csv.gz", gzip.compress(CSV[:6], mtime=0) + gzip.compress(CSV[6:], mtime=0)),
        ("rows.csv.zst", pa.compress(CSV, codec="zstd", asbytes=True)),
        ("rows.tsv", CSV.replace(b",", b"\t")),
    ],
)
def test_a_csv_by_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert of(str(path)).rows == ROWS
    assert of(put(name, content)).rows == ROWS
    assert opened(str(path)).digest == hashlib.sha256(content).hexdigest()


def test_a_folder_is_read_by_name_and_rows_are_numbered_through(tmp_path: Path) -> None:
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "b.csv").write_bytes(b"a,b\n3,z\nbad\n4,w\n")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"b,a\nx,1\ny,2\n"))
    (tmp_path / "readme.md").write_text("notes")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".part.csv").write_text("half")
    found = of(str(tmp_path))
    assert found.rows == {1: ["3", "z"], 3: ["4", "w"], 4: ["1", "x"], 5: ["2", "y"]}
    assert [(one.number, one.detail.split(",")[0]) for one in found.refused] == [
        (2, "row 2 of 2026/b.csv has 1 cells")
    ]
    assert found.told == [
        "2 files, in the order of their names: b.csv, a.csv.gz",
        "1 file of other kinds left out: readme.md",
    ]


@pytest.mark.parametrize("sign", ["_delta_log/0.json", "metadata/1.metadata.json", ".hoodie/x"])
def test_a_table_of_a_lake_is_no_folder_of_files(tmp_path: Path, sign: str) -> None:
    (tmp_path / sign).parent.mkdir()
    (tmp_path / sign).touch()
    (tmp_path / "old.csv").write_bytes(CSV)
    with pytest.raises(ConfigError, match=r"table, whose folder also has files of the past"):
        of(str(tmp_path))


def test_a_pattern_takes_what_fits_it(tmp_path: Path) -> None:
    for name in ("p-1.csv", "p-2.csv", "q.csv"):
        (tmp_path / name).write_bytes(CSV)
    assert sorted(of(str(tmp_path / "p-*.csv")).rows) == [1, 2, 3, 4]
    put("glob/one.csv", CSV)
    assert of("memory://glob/*.csv").rows == ROWS


def test_whether_there_is_a_file_is_known_without_reading_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    os.mkfifo(tmp_path / "pipe")
    put("there/a.csv", CSV)
    for place in ("a.csv", "*.csv", "", "pipe"):
        check(f"{tmp_path}/{place}")
    check("memory://there/*.csv")
    check("-")
    for place in ("b.csv", "*.parquet", "folder/"):
        with pytest.raises(ConfigError, match=r"no file"):
            check(f"{tmp_path}/{place}")


def test_a_file_whose_name_has_the_signs_of_a_pattern_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows [1].csv"
    path.write_bytes(CSV)
    assert of(str(path)).rows == ROWS


@pytest.mark.parametrize(
    ("content", "form", "kind"),
    [
        (CSV, "", "csv"),
        (gzip.compress(CSV, mtime=0), "", "csv"),
        (CSV, "csv", ""),
        (b'\n{"a":"1"}\n', "", "jsonl"),
    ],
)
def test_standard_input_is_looked_at_and_read_more_than_once(
    monkeypatch: pytest.MonkeyPatch, content: bytes, form: str, kind: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    place = opened("-", form)
    tables = Tables(place, FileSpec())
    assert place.told == ([f"standard input is read as {kind}"] if kind else [])
    twice = [gathered(tables.names, list(tables.read(1)), []).rows for _ in range(2)]
    assert twice[0] == twice[1] == (ROWS if kind != "jsonl" else {1: ['{"a":"1"}']})


def test_a_pipe_is_read_more_than_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[CSV])
    writer.start()
    assert of(str(pipe)).rows == ROWS
    writer.join()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("no.csv", None, "there is no file"),
        ("no*.csv", None, "no file that can be read"),
        ("e.csv", b"", "empty"),
        ("e.parquet", b"", "empty"),
        ("e.csv.gz", gzip.compress(b"", mtime=0), "empty"),
        ("a.txt", CSV, "--format csv"),
        ("a.parquet.gz", CSV, "do not know this kind"),
        ("a.csv", b"PK\x03\x04rest", "Excel workbook"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "password"),
        ("a.csv", b"PAR1\x15\x04", "but Parquet"),
        ("a.csv", gzip.compress(CSV, mtime=0), "end its name with .gz"),
        ("a.csv", b"\n<!DOCTYPE html><html>", "HTML page"),
        ("a.csv", b"\xef\xbb\xbf<?xml version='1.0'?>", "XML"),
        ("a.csv", b"%PDF-1.7", "PDF"),
        ("a.csv", b'{"a":1}\n', "--format jsonl"),
        ("a.csv", b'[{"a":1}]\n', "one object a line"),
        ("a.jsonl", b'[{"a":1}]\n', "one object a line"),
        ("a.parquet", CSV, "not Parquet, but CSV"),
        ("a.parquet", b"PAR1\x15\x04 cut off", "cannot read"),
        ("a.xlsx", CSV, "but CSV"),
        ("a.xlsx", b"PK\x03\x04rest", "cannot be read as a workbook"),
        ("a.csv.gz", CSV, "cannot read"),
        ("a.csv.gz", gzip.compress(CSV * 999, mtime=0)[:-30], "cannot read"),
    ],
)
def test_what_cannot_be_read_is_said(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        of(str(path))
    assert words in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_url_of_an_unknown_kind_or_without_its_package_is_said() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        opened("nowhere://bucket/a.csv")
    with pytest.raises(ConfigError, match="s3fs"):
        opened("s3://bucket/a.csv")


def test_an_unknown_format_is_said() -> None:
    with pytest.raises(ConfigError, match="expected one of csv, parquet, jsonl, xlsx"):
        opened("a.csv", "excel")


def test_files_with_other_columns_are_not_read_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "b.csv").write_bytes(b"a,c\n1,2\n")
    with pytest.raises(ConfigError, match=r"b\.csv has other columns than a\.csv: b, c"):
        of(str(tmp_path))


def test_files_of_several_kinds_are_not_read_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "b.jsonl").write_bytes(b'{"a":1}')
    with pytest.raises(ConfigError, match=r"b\.jsonl is of another kind than a\.csv"):
        of(str(tmp_path))


def test_a_format_goes_before_the_name(tmp_path: Path) -> None:
    path = tmp_path / "export.txt.gz"
    path.write_bytes(gzip.compress(CSV, mtime=0))
    assert of(str(path), "csv").rows == ROWS
