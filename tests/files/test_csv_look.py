"""Layouts as banks, processors and public sets have them, and what is told of them.

The header lines are those of the real files; rows and names are invented.
"""

from __future__ import annotations

import pytest

from model.files.places import opened
from model.files.tables import Tables
from tests.files.read import put, read
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec

GIRO = """\ufeff"Konto";"Giro DE00000000000000000000"

"Kontostand vom 01.02.2026:";"12,00 €"
""
"Buchungsdatum";"Wertstellung";"Zahlungsempfänger*in";"Verwendungszweck";"Betrag (€)"
"02.01.26";"03.01.26";"Laden C";"Miete; Januar";"-1.900,10"
"01.01.26";"01.01.26";"Firma D";"Gehalt";"3.000,00"
"""
DEBIT_CREDIT = """Datum;Text;Soll;Haben;Saldo
05.01.2026;Lastschrift für Übung;4,00;;96,00
04.01.2026;Gutschrift;;100,00;2.000,00
Summe;;4,00;100,00;
"""
IBM = """Timestamp,From Bank,Account,To Bank,Account,Amount Received,Payment Format,Is Laundering
2022/09/03 11:20,012,80A,007,90B,10.50,Cheque,0
"""
BANKSIM = """step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud
0,'C1','4','M','28007','M2','28007','es_food',14.50,0
1,'C2','2','F','28007','M2','28007','es_food',4.50,1
"""
SPARKOV = """,trans_date_trans_time,cc_num,merchant,amt,job,is_fraud
0,2019-01-01 00:00:18,4000000000000000001,"fraud_Some, Sons and Co",4.97,"Nurse, adult",0
"""
PROCESSOR = """"Date","Time","TimeZone","Name","Currency","Gross","Transaction ID"
"01/02/2026","07:47:30","PST","A","USD","2,100.00","T1"
"01/02/2026","07:48:30","PST","B","JPY","-7,000","T2"
"""
PADDED = """Konto;DE00;;;
Stand;31.01.2026;;;
Datum;Text;Soll;Haben;Saldo
05.01.2026;A;4,00;;96,00
04.01.2026;B;;1,00;95,00
"""


@pytest.mark.parametrize(
    ("content", "names", "first", "told"),
    [
        (
            GIRO,
            ["Buchungsdatum", "Wertstellung", "Zahlungsempfänger*in", "Verwendungszweck"],
            ["02.01.26", "03.01.26", "Laden C", "Miete; Januar", "-1.900,10"],
            ["header: line 5", "separator: semicolon", "decimal mark: a comma", "thousands: '.'"],
        ),
        (
            DEBIT_CREDIT.encode("latin-1"),
            ["Datum", "Text", "Soll", "Haben", "Saldo"],
            ["05.01.2026", "Lastschrift für Übung", "4,00", None, "96,00"],
            ["encoding", "separator: semicolon", "decimal mark", "thousands", "footer: 1 line"],
        ),
        (
            IBM,
            ["Timestamp", "From Bank", "Account", "To Bank", "Account_2", "Amount Received"],
            ["2022/09/03 11:20", "012", "80A", "007", "90B", "10.50", "Cheque", "0"],
            ["'Account' is there 2 times: read as Account, Account_2"],
        ),
        (
            BANKSIM,
            ["step", "customer", "age"],
            ["0", "C1", "4", "M", "28007", "M2", "28007", "es_food", "14.50", "0"],
            ["quote: '"],
        ),
        (
            SPARKOV,
            ["column_1", "trans_date_trans_time", "cc_num"],
            [
                "0",
                "2019-01-01 00:00:18",
                "4000000000000000001",
                "fraud_Some, Sons and Co",
                "4.97",
                "Nurse, adult",
                "0",
            ],
            [],
        ),
        (
            PROCESSOR,
            ["Date", "Time", "TimeZone", "Name", "Currency", "Gross", "Transaction ID"],
            ["01/02/2026", "07:47:30", "PST", "A", "USD", "2,100.00", "T1"],
            ["thousands: ','"],
        ),
        (
            PADDED,
            ["Datum", "Text", "Soll", "Haben", "Saldo"],
            ["05.01.2026", "A", "4,00", None, "96,00"],
            ["header: line 3", "separator: semicolon", "decimal mark: a comma"],
        ),
        ("a\tb\n1\t2,5\n3\t4,5\n", ["a", "b"], ["1", "2,5"], ["separator: tab", "decimal mark"]),
        ("sep=|\na|b\n1|2\n", ["a", "b"], ["1", "2"], ["header: line 2", "separator: bar"]),
        ("only\nx\n", ["only"], ["x"], []),
        ("0,1,2\n0.5,1.5,2.5\n", ["0", "1", "2"], ["0.5", "1.5", "2.5"], []),
        (" id , amount \n1,2.50\n", ["id", "amount"], ["1", "2.50"], []),
        ("a;b;\n1;2\n3;4\n", ["a", "b"], ["1", "2"], ["separator"]),
        ("a;b\n1;2;\n3;4;\n", ["a", "b", "column_3"], ["1", "2", None], ["separator"]),
        ("a, x;b, y\n1,5;2,5\n3,5;4,5\n", ["a, x", "b, y"], ["1,5", "2,5"], ["sep", "decimal"]),
        ("id,tags,n\n1,x;y,5\n2,z;w,6\n", ["id", "tags", "n"], ["1", "x;y", "5"], []),
        ('id,memo,n\n1,"3,5",10\n2,none,20\n', ["id", "memo", "n"], ["1", "3,5", "10"], []),
        ("id,amount\n", ["id", "amount"], None, []),
        ("x;y\na;10,50\nb;10,60\n", ["x", "y"], ["a", "10,50"], ["separator", "decimal mark"]),
    ],
)
def test_header_rows_and_what_is_told(
    content: str | bytes, names: list[str], first: list[str | None] | None, told: list[str]
) -> None:
    found = read(content)
    assert found.names[: len(names)] == names
    assert found.rows.get(1) == first
    assert found.refused == []
    assert len(found.told) == len(told)
    for sentence, words in zip(found.told, told, strict=True):
        assert words in sentence


def test_what_the_profile_names_is_not_looked_for_nor_told() -> None:
    text = "note\n'a|b'|'1,5'\n'c'|'2,5'\n"
    found = read(text, separator="|", quote="'", skip=1, columns=["x", "y"], decimal_mark=",")
    assert found.told == []
    assert found.names == ["x", "y"]
    assert found.rows == {1: ["a|b", "1,5"], 2: ["c", "2,5"]}
    assert read("a\n#1\n'x'\n", quote="", skip=1).rows == {1: ["'x'"]}


def test_a_file_without_a_header_is_not_read_by_its_first_row() -> None:
    with pytest.raises(ConfigError, match="no line with the columns' names") as error:
        read("P-1,2026-01-01,anna@example.org,5.10\nP-2,2026-01-02,x,6.10\n")
    assert "anna" not in str(error.value)
    text = "P-1,2026-01-01,5.10\n"
    assert read(text, columns=["a", "b", "c"]).rows == {1: ["P-1", "2026-01-01", "5.10"]}


def test_each_name_of_a_column_is_one_of_a_kind() -> None:
    found = read("a,a_2,a,,a\n1,2,3,4,5\n")
    assert found.names == ["a", "a_2", "a_3", "column_4", "a_4"]


def test_thousands_are_a_hint_and_never_read_by_their_looks() -> None:
    place = opened(put("t.csv", 'a,b\n1,"1,234.50"\n'))
    tables = Tables(place, FileSpec())
    assert (tables.seen.thousands, tables.marks.thousands) == (",", None)
    assert Tables(place, FileSpec(thousands=",")).marks.thousands == ","


def test_numbers_written_in_two_ways_say_nothing_of_the_mark() -> None:
    assert Tables(opened(put("t.csv", "a;b\n1,5;1.5\n")), FileSpec()).marks.decimal is None


TOTALS = "day;n\n01.01.2026;1\n02.01.2026;2\n"


@pytest.mark.parametrize(
    ("end", "rows", "found"),
    [
        ("Summe;3\n", 2, True),
        ("Subtotal;3\nTotal;3\nTotal:;3", 2, True),
        ("Grand;3\n", 3, False),
        ("03.01.2026;Total\n", 3, False),
        ("Total;1;1\n", 2, False),
    ],
)
def test_totals_are_found_where_a_date_should_stand(end: str, rows: int, found: bool) -> None:
    seen = read(TOTALS + end, footer=0)
    assert len(seen.rows) == rows
    assert any("footer" in sentence for sentence in seen.told) == found


def test_a_row_is_no_total_where_no_column_has_dates() -> None:
    assert read("shop,n\nA,1\nTotal,2\n").rows == {1: ["A", "1"], 2: ["Total", "2"]}


def test_totals_are_found_at_the_end_of_a_long_file() -> None:
    rows = "".join(f"0{1 + i % 9}.01.2026;{i}\n" for i in range(5000))
    found = read(f"day;n\n{rows}Summe;9\n")
    assert len(found.rows) == 5000
    assert found.refused == []


def test_a_footer_that_is_named_is_left_out() -> None:
    text = "a,b\n1,2\n3,4\nSum,6\nprinted by hand\n"
    assert read(text, footer=2).rows == {1: ["1", "2"], 2: ["3", "4"]}
    assert read(text, footer=2).refused == []
    assert read(text, footer=2, size=1).rows == {1: ["1", "2"], 2: ["3", "4"]}
    assert read(text, footer=9).rows == {}
