"""The table of cells: what stands in a file's cell, and what it means to the stream or why not.

`OUT` stands for a field that is left out, a `Reason` for a row that is refused.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa

OUT = object()


class Reason(str):
    """Why a row is refused."""


WRONG, BOUNDS, NO_TIME = Reason("wrong_type"), Reason("out_of_bounds"), Reason("bad_time")
TEXT = "{type: string, max_length: 40}"
OPEN = '{type: category, open: true, values: ["5411", "NA"]}'
CLOSED = '{type: category, values: ["5411", "NA", "null"]}'
NUMBER = "{type: number}"
INTEGER = "{type: integer}"
MONEY = "{type: money, min: -1000000}"
GERMAN = '{type: money, min: -1000000, decimal_mark: ",", thousands: "."}'
FRENCH = '{type: money, min: -1000000, decimal_mark: ",", thousands: " "}'
SWISS = """{type: money, min: -1000000, thousands: "'"}"""
ENGLISH = '{type: money, min: -1000000, thousands: ","}'
MINOR = "{type: money, min: -1000000, minor: true}"
YEN = "{type: money, min: -1000000, minor: true, decimals: 0}"
BOOL = "{type: bool}"
GERMAN_BOOL = "{type: bool, yes: [ja, Wahr], no: [nein, Falsch]}"
YAML_BOOL = "{type: bool, yes: [Yes], no: [No]}"
TIME = "{type: time}"
SECONDS = "{type: time, unit: s}"
BERLIN = "{type: time, zone: Europe/Berlin}"
LONDON = "{type: time, zone: Europe/London}"
FIXED = '{type: time, zone: "+05:30"}'
DAY_FIRST = '{type: time, format: "%d/%m/%Y %H:%M"}'
COMPACT = '{type: time, format: "%Y%m%d"}'
SHORT = '{type: time, format: "%y%m%d%H%M%S"}'
TWELVE = '{type: time, format: "%d-%b-%y %I:%M %p"}'
ZONED = '{type: time, format: "%m/%d/%Y %H:%M:%S %Z"}'
HOURS = "{type: time, unit: hours, since: 2026-01-01}"
EXCEL = "{type: time, unit: days, since: 1899-12-30}"
MILLIS = "{type: time, unit: ms}"
VECTOR = "{type: vector, length: 2}"

Value = object


class Text(NamedTuple):
    """A cell of text, as CSV and a Parquet column of texts hold it."""

    field: str
    cell: str
    value: Value


class Typed(NamedTuple):
    """A cell of a Parquet column of some type."""

    field: str
    cell: pa.Array
    value: Value


_PLAIN_TEXTS = ["5411", "NA", "None", "null", "nan", "00001234", "4613314721966000001", "12E45"]
_PLAIN_TEXTS += ["0x1F", "1e3", "1.0", " 5 ", "True", "Müller", 'say "x", \\', "a\nb", "\t", "-"]
TEXTS = [
    *(Text(TEXT, cell, cell) for cell in _PLAIN_TEXTS),
    *(Text(OPEN, cell, cell) for cell in _PLAIN_TEXTS),
    *(Text(CLOSED, cell, cell) for cell in ("5411", "NA", "null")),
    Text(CLOSED, "05411", BOUNDS),
    Text(CLOSED, "na", BOUNDS),
    Text(TEXT, "x" * 41, BOUNDS),
    *(Text(NUMBER, cell, float(cell)) for cell in ("5", "-5", "0", "0.35", "1e3", "1E+5", "1e-7")),
    *(Text(NUMBER, cell, float(cell)) for cell in ("+1.5", "007", " 5 ", "5.", ".5", "-.5", "00")),
    *(
        Text(NUMBER, cell, WRONG)
        for cell in ("0x5", "1_000", "1,000", "x", ".", "--1", "5 6", "NA")
    ),
    *(Text(NUMBER, cell, WRONG) for cell in ("1e", "inf", "€5", "5%", "1.2.3", "(5", "5)", "(-5)")),
    *(Text(NUMBER, cell, -5) for cell in ("(5)", "5-", "- 5", "\u22125")),
    Text(NUMBER, "NaN", OUT),
    Text(NUMBER, "   ", OUT),
    Text(NUMBER, "1e13", BOUNDS),
    Text(INTEGER, "5", 5),
    Text(INTEGER, "007", 7),
    Text(INTEGER, "5.0", 5),
    Text(INTEGER, "5.5", WRONG),
    Text(INTEGER, "9007199254740993", BOUNDS),
    *(Text(MONEY, cell, 12.5) for cell in ("12.5", "12.50", "€ 12.50", "12.50 EUR", "US$12.50")),
    *(Text(MONEY, cell, -12.5) for cell in ("-12.50", "12.50-", "(12.50)", "-$12.50", "$-12.50")),
    *(Text(MONEY, cell, WRONG) for cell in ("12,50", "1,100.00", "twelve", "12.50 euros", "€")),
    *(Text(GERMAN, cell, 1234.5) for cell in ("1.234,5", "1234,50", "1.234,50 €", "+1.234,5")),
    *(Text(GERMAN, cell, WRONG) for cell in ("1.23,5", "1234.50", "1,234.50", "1.2345", "12.50")),
    Text(GERMAN, "9,90-", -9.9),
    Text(GERMAN, "1.000", 1000),
    *(Text(FRENCH, f"1{blank}234,50", 1234.5) for blank in " \u00a0\u202f"),
    *(Text(SWISS, f"CHF 1{mark}234.50", 1234.5) for mark in "'\u2019"),
    Text(ENGLISH, "1,100.00", 1100),
    Text(ENGLISH, "1,23,456.00", 123456),
    Text(ENGLISH, "11,00", WRONG),
    Text(MINOR, "1234", 12.34),
    Text(MINOR, "5", 0.05),
    Text(MINOR, "-5", -0.05),
    Text(MINOR, "0", 0),
    Text(MINOR, "12.34", WRONG),
    Text(YEN, "1234", 1234),
    *(Text(BOOL, cell, True) for cell in ("true", "True", "TRUE", "1", "Y", "yes", "t", " Yes ")),
    *(Text(BOOL, cell, False) for cell in ("false", "False", "0", "N", "no", "f")),
    *(Text(BOOL, cell, WRONG) for cell in ("2", "maybe", "-", "ja")),
    Text(GERMAN_BOOL, "JA", True),
    Text(GERMAN_BOOL, "falsch", False),
    Text(GERMAN_BOOL, "1", WRONG),
    Text(YAML_BOOL, "Yes", True),
    Text(YAML_BOOL, "true", True),
    Text(YAML_BOOL, "Y", WRONG),
    *(
        Text(TIME, cell, "2026-01-01T10:00:00Z")
        for cell in (
            *("2026-01-01T10:00:00Z", "2026-01-01T10:00Z", "2026-01-01T12:00+02", "2026-01-01T10Z"),
            *("20260101T100000Z", "20260101T1000Z", "2026/01/01 10:00", "2026.01.01 10:00:00"),
            *("2026-01-01 10:00:00 UTC", "2026-01-01T10:00:00.0000000Z", "2026-1-1 10:00:00,0"),
            *("2026-01-01T11:00:00+01:00[Europe/Berlin]", "2026-01-01 02:00:00 PST"),
            *("2026-01-01 05:00 America/New_York", "2026-01-01 10:00:00 AM", " 2026-01-01 10:00 "),
            *("2026-01-01T12:00+0200", "2026-01-01 12:00 GMT+2", "2026-01-01T10:00"),
        )
    ),
    *(
        Text(TIME, cell, cell)
        for cell in (
            *("2026-01-01 10:00:00", "2026-01-01T10:00:00.5", "2026-01-01T10:00:00.123456Z"),
            *("2026-01-01 12:00:00+02:00", "2026-01-01T12:00:00-02:30"),
        )
    ),
    Text(TIME, "1767261600", 1767261600),
    Text(TIME, "1767261600.5", 1767261600.5),
    Text(TIME, "2026-01-01", "2026-01-01T00:00:00Z"),
    Text(TIME, "2026-01-01T24:00:00Z", "2026-01-02T00:00:00Z"),
    Text(TIME, "2026-01-01T23:59:59.9999999Z", "2026-01-01T23:59:59.999999Z"),
    Text(TIME, "2026-01-01T10:00:00.1234567", "2026-01-01T10:00:00.123456Z"),
    *(Text(TIME, cell, NO_TIME) for cell in ("2026-02-30", "2026-13-01T10:00:00Z", "31/01/2026")),
    *(Text(TIME, cell, NO_TIME) for cell in ("2026-01-01T25:00Z", "x", "2026-01-01 10:60")),
    *(Text(TIME, cell, NO_TIME) for cell in ("20260101", "930101", "45292", "1767261600000")),
    *(Text(TIME, cell, NO_TIME) for cell in ("2026-01-01 10:00 IST", "9999-12-31", "1969-12-31")),
    Text(SECONDS, "45292", 45292),
    Text(MILLIS, "1767261600123", 1767261600123),
    Text(HOURS, "276", 276),
    Text(HOURS, "0.5", 0.5),
    Text(EXCEL, "46023.25", 46023.25),
    Text(BERLIN, "2026-07-01 10:00:00", "2026-07-01T08:00:00Z"),
    Text(BERLIN, "2026-01-01", "2025-12-31T23:00:00Z"),
    Text(BERLIN, "2026-07-01T10:00:00Z", "2026-07-01T10:00:00Z"),
    Text(BERLIN, "2026-03-29 01:59:59", "2026-03-29T00:59:59Z"),
    Text(BERLIN, "2026-03-29 02:30:00", NO_TIME),
    Text(BERLIN, "2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
    Text(BERLIN, "2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),
    Text(BERLIN, "2026-10-25 02:30:00 CET", "2026-10-25T01:30:00Z"),
    Text(BERLIN, "2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
    Text(LONDON, "2026-07-01 10:00 BST", "2026-07-01T09:00:00Z"),
    Text(FIXED, "2026-07-01 10:00", "2026-07-01T04:30:00Z"),
    Text(DAY_FIRST, "31/01/2026 10:05", "2026-01-31T10:05:00Z"),
    Text(DAY_FIRST, "1/2/2026 9:05", "2026-02-01T09:05:00Z"),
    Text(DAY_FIRST, "01/31/2026 10:05", NO_TIME),
    Text(DAY_FIRST, "2026-01-31T10:05:00Z", NO_TIME),
    Text(COMPACT, "20260101", "2026-01-01T00:00:00Z"),
    Text(COMPACT, "930101", NO_TIME),
    Text(SHORT, "260101100500", "2026-01-01T10:05:00Z"),
    Text(TWELVE, "31-Jan-26 12:05 AM", "2026-01-31T00:05:00Z"),
    Text(TWELVE, "31-jan-26 12:05 pm", "2026-01-31T12:05:00Z"),
    Text(TWELVE, "31-Jan-26 13:05 pm", NO_TIME),
    Text(ZONED, "06/18/2025 07:47:30 PDT", "2025-06-18T14:47:30Z"),
    Text(ZONED, "06/18/2025 07:47:30 -0700", "2025-06-18T14:47:30Z"),
    Text(VECTOR, "[1, 2.5]", [1, 2.5]),
    Text(VECTOR, "[1]", BOUNDS),
    Text(VECTOR, '[1, "2"]', WRONG),
    Text(VECTOR, "1, 2", WRONG),
]
"""What an empty cell is stands in the tests: CSV cannot tell an empty text from none."""

_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
_NOON = datetime(2026, 1, 1, 12)
_AT_NOON = "2026-01-01T12:00:00Z"
_DIGITS = 12345678901234567890
TYPED = [
    Typed(TEXT, pa.array([4613314721966000001]), "4613314721966000001"),
    Typed(TEXT, pa.array([2**64 - 1], pa.uint64()), str(2**64 - 1)),
    Typed(TEXT, pa.array([4613314721966000001.0]), WRONG),
    Typed(TEXT, pa.array([5.0], pa.float32()), WRONG),
    Typed(TEXT, pa.array([float("nan")]), OUT),
    Typed(TEXT, pa.array([Decimal(_DIGITS)], pa.decimal128(20)), str(_DIGITS)),
    Typed(TEXT, pa.array(["x"], pa.large_string()), "x"),
    Typed(TEXT, pa.array(["x"], pa.string_view()), "x"),
    Typed(TEXT, pa.array(["007"]).dictionary_encode(), "007"),
    Typed(TEXT, pa.array([b"caf\xc3\xa9"]), "café"),
    Typed(TEXT, pa.uuid().wrap_array(pa.array([_ID.bytes], pa.binary(16))), str(_ID)),
    Typed(TEXT, pa.array([True]), "true"),
    Typed(TEXT, pa.array([""]), BOUNDS),
    Typed(TEXT, pa.array([["a"]]), WRONG),
    Typed(OPEN, pa.array([5411]), "5411"),
    Typed(OPEN, pa.array([5411.0]), WRONG),
    Typed(OPEN, pa.array([""]), ""),
    Typed(NUMBER, pa.array([0.1 + 0.2]), 0.1 + 0.2),
    Typed(NUMBER, pa.array([0.35], pa.float32()), 0.35),
    Typed(NUMBER, pa.array([1e22]), BOUNDS),
    Typed(NUMBER, pa.array([float("inf")]), WRONG),
    Typed(NUMBER, pa.array([float("nan")]), OUT),
    Typed(NUMBER, pa.array([None], pa.null()), OUT),
    Typed(NUMBER, pa.array([2**63 - 1]), BOUNDS),
    Typed(NUMBER, pa.array([_NOON]), WRONG),
    Typed(INTEGER, pa.array([5.0]), 5),
    Typed(INTEGER, pa.array([True]), 1),
    Typed(INTEGER, pa.array([5], pa.int8()), 5),
    Typed(MONEY, pa.array([Decimal("0.35")], pa.decimal128(18, 2)), 0.35),
    Typed(MONEY, pa.array([Decimal("0.00000001")], pa.decimal128(18, 8)), 1e-8),
    Typed(GERMAN, pa.array([1234.5]), 1234.5),
    Typed(MINOR, pa.array([1234]), 12.34),
    Typed(MINOR, pa.array([1234.0]), 12.34),
    Typed(MINOR, pa.array([12.34]), WRONG),
    Typed(BOOL, pa.array([True]), True),
    Typed(BOOL, pa.array([0]), False),
    Typed(BOOL, pa.array([1.0]), True),
    Typed(BOOL, pa.array([2]), WRONG),
    Typed(GERMAN_BOOL, pa.array([True]), True),
    Typed(TIME, pa.array([_NOON], pa.timestamp("us", "UTC")), _AT_NOON),
    Typed(TIME, pa.array([_NOON], pa.timestamp("ns", "America/New_York")), _AT_NOON),
    Typed(TIME, pa.array([_NOON], pa.timestamp("s")), _AT_NOON),
    Typed(
        TIME, pa.array([1767268800_123456789], pa.timestamp("ns")), "2026-01-01T12:00:00.123456Z"
    ),
    Typed(TIME, pa.array([date(2026, 1, 1)]), "2026-01-01T00:00:00Z"),
    Typed(TIME, pa.array([date(2026, 1, 1)], pa.date64()), "2026-01-01T00:00:00Z"),
    Typed(TIME, pa.array([1767268800]), 1767268800),
    Typed(TIME, pa.array([1767268800.0]), 1767268800),
    Typed(TIME, pa.array([20260101]), NO_TIME),
    Typed(TIME, pa.array([None], pa.timestamp("us")), OUT),
    Typed(BERLIN, pa.array([_NOON], pa.timestamp("us")), "2026-01-01T11:00:00Z"),
    Typed(BERLIN, pa.array([_NOON], pa.timestamp("us", "UTC")), _AT_NOON),
    Typed(BERLIN, pa.array([datetime(2026, 3, 29, 2, 30)]), NO_TIME),
    Typed(TIME, pa.array([timedelta(hours=1)]), NO_TIME),
    Typed(COMPACT, pa.array([20260101]), "2026-01-01T00:00:00Z"),
    Typed(HOURS, pa.array([276]), 276),
    Typed(MILLIS, pa.array([1767268800000]), 1767268800000),
    Typed(VECTOR, pa.array([[1.0, 2.5]]), [1, 2.5]),
    Typed(VECTOR, pa.array([[0.35, 1]], pa.list_(pa.float32(), 2)), [0.35, 1]),
    Typed(VECTOR, pa.array([[1.0, None]]), WRONG),
]
