"""Where the invented samples are, and how one of a few lines is read."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from model.files.formats.convert import Converted, convert

HERE = Path(__file__).parent
LAST_DAY = date(2026, 1, 1)
SAMPLES = {
    "camt.053": "statement.camt053.xml",
    "iso8583": "payments.iso8583.jsonl",
    "mt940": "statement.mt940.sta",
    "ofx": "statement.ofx",
    "pacs.008": "transfers.pacs008.xml",
}
"""The sample in each format."""


def rows_of(source: Path, folder: Path, name: str = "") -> tuple[list[dict[str, Any]], Converted]:
    """The rows of a file in a format, with the texts of their amounts, and what was told."""
    out = folder / "rows.csv"
    done = convert([source], out, name, LAST_DAY)
    with out.open(newline="") as file:
        return list(csv.DictReader(file)), done


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def changed(sample: str, folder: Path, *changes: tuple[str, str]) -> Path:
    """A sample with texts replaced, each of which must be there."""
    text = (HERE / sample).read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return written(folder, sample, text)


def rejects_of(done: Converted) -> list[dict[str, str]]:
    with Path(done.rejects).open(newline="") as file:
        return list(csv.DictReader(file))


def message(**fields: object) -> str:
    """An ISO 8583 message as JSON: a purchase of 12.50 EUR, but for these fields (`f4="1"`)."""
    usual: dict[str, object] = {
        "t": "0200",
        "2": "4000001234567899",
        "3": "000000",
        "4": "000000001250",
        "7": "1231120000",
        "11": "000001",
        "49": "978",
    }
    usual |= {name[1:] if name[1:].isdigit() else name: value for name, value in fields.items()}
    found = {name: value for name, value in usual.items() if value is not None}
    return msgspec.json.encode(found).decode() + "\n"
