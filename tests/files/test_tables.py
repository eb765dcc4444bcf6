"""Parquet, JSON lines and workbooks as tables, in pieces of any size."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.files.places import opened
from model.files.tables import Tables
from tests.files.read import put, read
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec

SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
DATES = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/></cellXfs>'


def workbook(**sheets: list[list[str]]) -> bytes:
    """A workbook whose cells are given as XML: the least that Excel takes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        names = "".join(
            f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, name in enumerate(sheets, 1)
        )
        file.writestr("[Content_Types].xml", f'<Types xmlns="{TYPES}"/>')
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r" '
            f'Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{SHEET}" xmlns:r="{RELATIONS}"><sheets>{names}</sheets></workbook>',
        )
        targets = "".join(
            f'<Relationship Id="r{i}" Type="{RELATIONS}/worksheet" Target="worksheets/{i}.xml"/>'
            for i in range(1, len(sheets) + 1)
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}">{targets}</Relationships>',
        )
        file.writestr("xl/styles.xml", f'<styleSheet xmlns="{SHEET}">{DATES}</styleSheet>')
        for i, rows in enumerate(sheets.values(), 1):
            body = "".join(f"<row>{''.join(row)}</row>" for row in rows)
            file.writestr(
                f"xl/worksheets/{i}.xml",
                f'<worksheet xmlns="{SHEET}"><sheetData>{body}</sheetData></worksheet>',
            )
    return out.getvalue()


def text(value: str) -> str:
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>'


def number(value: str, style: int = 0) -> str:
    return f'<c s="{style}"><v>{value}</v></c>'


TRUE, EMPTY = '<c t="b"><v>1</v></c>', "<c/>"


def test_a_workbook_gives_its_cells_as_texts() -> None:
    content = workbook(
        Rows=[
            [text("Export"), EMPTY, EMPTY, EMPTY, EMPTY, EMPTY],
            [text(name) for name in ("id", "zip", "amount", "day", "at", "flag")],
            [
                text("007"),
                number("5411"),
                number("12.35"),
                number("46023", 1),
                number("46023.5", 2),
                TRUE,
            ],
            [EMPTY] * 6,
            [text("NA"), EMPTY, number("-1.5"), EMPTY, EMPTY, EMPTY],
        ],
        More=[[text("other")]],
    )
    found = read(content, "book.xlsx")
    assert found.names == ["id", "zip", "amount", "day", "at", "flag"]
    assert found.rows == {
        1: ["007", "5411", "12.35", "2026-01-01", "2026-01-01T12:00:00", "true"],
        2: ["NA", None, "-1.5", None, None, None],
    }
    assert found.told == [
        "sheet: 'Rows', the first of 2",
        "header: row 2, what stands above it is left out",
    ]
    assert read(content, "book.xlsx", sheet="More").names == ["other"]
    with pytest.raises(ConfigError, match="no sheet 'Old'; its sheets are Rows, More"):
        read(content, "book.xlsx", sheet="Old")


def test_a_number_of_which_excel_has_lost_digits_refuses_its_row() -> None:
    rows = [[text("id"), text("n")], [number("4613314721966000001"), text("x")]]
    found = read(workbook(Rows=[*rows, [number("123456789012345"), text("y")]]), "book.xlsx")
    assert [(one.number, one.field, one.reason) for one in found.refused] == [
        (1, "id", "inexact_number")
    ]
    assert found.rows == {2: ["123456789012345", "y"]}


def test_a_sheet_without_names_is_not_read_by_its_first_row() -> None:
    content = workbook(Rows=[[text("P-1"), number("46023", 1)]])
    with pytest.raises(ConfigError, match="no row with the columns' names"):
        read(content, "book.xlsx")
    assert read(content, "book.xlsx", columns=["id", "day"]).rows == {1: ["P-1", "2026-01-01"]}


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_parquet_keeps_its_types_whatever_the_size_of_its_pieces(size: int) -> None:
    columns = {
        "amount": pa.array([Decimal("0.35"), None, Decimal("1.10")], pa.decimal128(18, 2)),
        "day": pa.array([date(2026, 1, 1)] * 3),
        "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 3, pa.timestamp("ns", "UTC")),
        "word": pa.array(["a", "b", "a"]).dictionary_encode(),
    }
    out = io.BytesIO()
    table = pa.table(list(columns.values()), ["amount", "day", "at", "day"])
    pq.write_table(table, out, row_group_size=2)
    tables = Tables(opened(put("rows.parquet", out.getvalue())), FileSpec())
    assert (tables.names, tables.about) == (["amount", "day", "at", "day_2"], 3)
    assert tables.doubled == {"day": ["day", "day_2"]}
    read_back = list(tables.read(size))
    assert max(len(one.batch) for one in read_back) <= size
    assert [number for one in read_back for number in one.numbers] == [1, 2, 3]
    whole = pa.Table.from_batches([one.batch for one in read_back])
    assert whole.schema.types == table.schema.types
    assert whole.columns == table.columns


@pytest.mark.parametrize("size", [1, 2, 100])
def test_json_lines_are_passed_on_as_they_stand(size: int) -> None:
    lines = ['{"a": 1.10}', "no json", '{"a":"ü"}']
    raw = f"\ufeff{lines[0]}\r\n\n{lines[1]}\n  \n{lines[2]}".encode()
    found = read(raw + b'\n{"a":"\xe9"}\n{"a":2}', "rows.jsonl", size, encoding="utf-8")
    assert found.rows == {
        1: [lines[0]],
        2: [lines[1]],
        3: [lines[2]],
        5: ['{"a":2}'],
    }
    assert [(one.number, one.reason) for one in found.refused] == [(4, "bad_byte")]


def test_a_line_of_json_without_an_end_is_said() -> None:
    with pytest.raises(ConfigError, match="a line is over 16 MB long"):
        read(b"{" + b" " * (18 << 20), "rows.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("rows.csv", b"a,b\n" + b'1,"x\ny"\n' * 50_000, 50_000),
        ("rows.csv", "a;b\nü;ü\n".encode("utf-8-sig"), 1),
        ("rows.csv", ("a;b\n" + "x;2\n" * 50_000).encode("utf-16"), 50_000),
        ("rows.jsonl", b'{"a":1}\n' * 50_000, 50_000),
        ("rows.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0), None),
    ],
)
def test_how_many_rows_there_are_is_told_about(name: str, content: bytes, rows: int | None) -> None:
    about = Tables(opened(put(name, content)), FileSpec()).about
    assert about == (rows if rows is None else pytest.approx(rows, rel=0.01, abs=2))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pieces_have_the_rows_and_the_refusals_in_their_order(size: int) -> None:
    rows = ["bad", "1,2", "bad", "3,4", "5,6", "bad", "7,8", "bad"]
    tables = Tables(opened(put("rows.csv", "a,b\n" + "\n".join(rows))), FileSpec())
    order = []
    for table in tables.read(size):
        assert len(table.batch) == len(table.numbers) <= size
        assert len(table.spoilt) == len(table.refused)
        order.append(sorted([*table.numbers.tolist(), *(one.number for one in table.refused)]))
    assert [number for some in order for number in some] == list(range(1, 9))
