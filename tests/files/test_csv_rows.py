"""The rows of a CSV: the same cells and numbers wherever its blocks end; bad rows refused alone."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.files.csv_cut import LONGEST
from model.files.csv_rows import CsvFile
from model.files.places import opened
from tests.files.read import Read, gathered, put, read
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec

cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.text(
    "\"',;\t\r\n ab", max_size=6
)
dialects = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "quotechar": st.sampled_from("\"'"),
        "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    }
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=8)
)


def written(rows: list[list[str]], **dialect: object) -> str:
    if any({"\r", "\n"} & set(cell) for row in rows for cell in row):
        dialect["quoting"] = (
            csv.QUOTE_ALL
        )  # before 3.13 only the terminator's own signs were quoted
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows(rows)  # type: ignore[call-overload] - the dialect is drawn
    return text.getvalue()


def in_blocks(content: str | bytes, block: int, **spec: object) -> Read:
    file = CsvFile(opened(put("blocks.csv", content)).parts[0], FileSpec(**spec))  # type: ignore[arg-type]
    return gathered(file.columns.names, list(file.blocks(1, block)), file.told)


@settings(deadline=None, max_examples=120)
@given(rows=tables, dialect=dialects, block=st.integers(1, 40), final=st.booleans())
def test_cells_that_python_writes_come_back_with_their_numbers_wherever_blocks_end(
    rows: list[list[str]], dialect: dict[str, str], block: int, final: bool
) -> None:
    width = len(rows[0]) if rows else 1
    text = written([[f"name{i}" for i in range(width)], *rows], **dialect)
    if final and not (rows and rows[-1][-1] == "" and width == 1):
        text = text.removesuffix(dialect["lineterminator"])
    found = in_blocks(
        text, block, separator=dialect["delimiter"], quote=dialect["quotechar"], skip=0
    )
    assert found.refused == []
    assert found.rows == {
        number: [cell or None for cell in row] for number, row in enumerate(rows, 1)
    }


BAD = {
    b"short,1\n": "2 cells",
    b"long,1,2,3\n": "4 cells",
    b"byte,caf\xe9,1\n": "not utf-8",
    b"nul,\0,1\n": "NUL",
    b'open,"never closed,1\n': "closes",
    b'last,1,"never closed\n': "closes",
}


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([b"a,b,c\n", b'"x\ny","",2\r\n', "ü,ß,€\n".encode(), *BAD]), min_size=1
    ),
    st.integers(1, 60),
)
def test_a_bad_row_is_refused_alone_and_the_rows_around_it_are_read(
    rows: list[bytes], block: int
) -> None:
    found = in_blocks(b"p,q,r\n" + b"".join(rows), block, encoding="utf-8", skip=0)
    bad = [number for number, row in enumerate(rows, 1) if row in BAD]
    assert [one.number for one in found.refused] == bad
    assert sorted(found.rows) == [i for i in range(1, len(rows) + 1) if i not in bad]
    for one in found.refused:
        assert BAD[rows[one.number - 1]] in one.detail
    starts = [row[0] for row in found.spoilt]
    assert starts == [rows[number - 1].split(b",")[0].decode() for number in bad]


def test_an_open_quote_takes_no_more_than_its_own_line_however_much_follows() -> None:
    row = b"a,b,c\n"
    many = row * (2 * LONGEST // len(row))
    found = read(b'p,q,r\na,"open,c\n' + many)
    assert [one.number for one in found.refused] == [1]
    assert len(found.rows) == many.count(b"\n")
    assert found.rows[2] == ["a", "b", "c"]


def test_a_quoted_cell_may_go_over_many_lines_and_blocks() -> None:
    memo = "line\r\n" * 100_000
    found = read(f'p,q\n1,"{memo}"\n2,b\n')
    assert found.rows == {1: ["1", memo], 2: ["2", "b"]}


def test_signs_inside_a_cell_stand_for_themselves() -> None:
    found = read('p,q\n5" pipe,a"b\n"closed" on,\'x\'\n')
    assert found.rows == {1: ['5" pipe', 'a"b'], 2: ["closed on", "'x'"]}


def test_blank_lines_are_no_rows_and_empty_cells_are_null() -> None:
    found = read('p,q\n\n1,\n\r\n\n"",2\n,\n\n')
    assert found.rows == {1: ["1", None], 2: [None, "2"], 3: [None, None]}


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert read("\ufeffp,q\n1,2\n".encode("utf-16-le"), encoding="utf-16-le").names == ["p", "q"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_each_unicode_encoding_is_seen(encoding: str) -> None:
    found = read("p,q\nMüller,5 €\nŁódź,1\n".encode(encoding))
    assert found.rows == {1: ["Müller", "5 €"], 2: ["Łódź", "1"]}
    assert ("encoding" in str(found.told)) == (encoding != "utf-8-sig")


@pytest.mark.parametrize("header", ["Nº cuenta,Importe", "Währung,Betrag"])
def test_a_header_alone_may_speak_for_windows_1252(header: str) -> None:
    found = read(f"{header}\n{'EUR,5.00' + chr(10)}".encode("windows-1252") + b"EUR,5.00\n" * 900)
    assert found.names == header.split(",")
    assert len(found.rows) == 901
    assert any("windows-1252" in sentence for sentence in found.told)


def test_windows_1252_is_seen_where_enough_lines_speak_for_it() -> None:
    found = read("Zahlungsempfänger,q\nMüller,5 €\nA,1\n".encode("windows-1252"))
    assert found.names[0] == "Zahlungsempfänger"
    assert found.rows[1] == ["Müller", "5 €"]
    assert any("windows-1252" in sentence for sentence in found.told)


def test_bytes_that_could_be_several_code_pages_are_refused_until_one_is_named() -> None:
    polish = "p,q\nnałożenie,1\nŁódź,2\nA,3\n".encode("windows-1250")
    found = read(polish)
    assert [one.number for one in found.refused] == [1, 2]
    assert "--encoding" in found.refused[0].detail
    assert read(polish, encoding="windows-1250").rows[2] == ["Łódź", "2"]


def test_names_of_columns_in_an_unknown_code_page_are_not_guessed() -> None:
    polish = "Tytuł,Kwota\nżółw,2\n".encode("windows-1250")
    with pytest.raises(ConfigError, match="columns' names holds bytes that are not utf-8"):
        read(polish)
    assert read(polish, encoding="windows-1250").names == ["Tytuł", "Kwota"]


def test_a_byte_unknown_to_a_named_encoding_refuses_its_row() -> None:
    found = read(b"p,q\na,\x81\nb,\xfc\n", encoding="windows-1252")
    assert [(one.number, one.reason) for one in found.refused] == [(1, "bad_byte")]
    assert found.rows == {2: ["b", "ü"]}


def test_a_line_without_an_end_is_no_csv() -> None:
    with pytest.raises(ConfigError, match="over 16 MB"):
        read(b"p,q\n" + b"x" * (18 << 20))
