"""What kind of file some bytes begin, whatever the file's name says."""

from __future__ import annotations

import codecs
from typing import Literal

Kind = Literal["csv", "parquet", "jsonl", "xlsx"]
Packing = Literal["gzip", "zstd"]

HEAD = 4096
"""How many bytes are looked at."""
_STARTS: dict[bytes, str] = {
    b"PAR1\x15": "parquet",
    b"PK\x03\x04": "xlsx",
    b"PK\x05\x06": "an empty zip archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an .xls workbook, or one with a password: save it as CSV",
    b"\x1f\x8b": "compressed by gzip: end its name with .gz",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard: end its name with .zst",
    b"BZh91AY": "compressed by bzip2: unpack it first",
    b"\xfd7zXZ\x00": "compressed by xz: unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive: unpack it first",
    b"%PDF-": "a PDF: ask for the export as CSV",
    b"SQLite format 3\x00": "an SQLite database: export the table as CSV",
    b"Obj\x01": "an Avro file: write it as Parquet",
    b"ARROW1": "an Arrow file: write it as Parquet",
}
_MARKUP = {
    b"<!doctype html": "an HTML page: was it saved in place of the download?",
    b"<html": "an HTML page: was it saved in place of the download?",
    b"<?xml": "XML",
}
_TEXTS = frozenset({"csv", "jsonl"})
_NAMES: dict[str, str] = {
    "csv": "CSV",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
    "xlsx": "an Excel workbook (.xlsx) or another zip archive",
}


def kind_of(start: bytes) -> Kind:
    """What the first bytes look like: a text that is no JSON is CSV."""
    sign = _sign(start)
    if sign == "parquet":
        return "parquet"
    if sign == "xlsx":
        return "xlsx"
    return "jsonl" if _text(start).startswith(b"{") else "csv"


def packing_of(start: bytes) -> Packing | None:
    """By what a content is compressed, if it is."""
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zstd" if start.startswith(b"\x28\xb5\x2f\xfd") else None


def fault(kind: Kind, start: bytes) -> str:
    """Why the content that begins so is no file of this kind; "" where nothing speaks against."""
    if not start:
        return "the file is empty"
    sign = _sign(start)
    if sign == kind or (kind == "parquet" and start.startswith(b"PAR1")):
        return ""
    if sign is not None or kind not in _TEXTS:
        return f"this is not {_NAMES[kind]}, but {_NAMES.get(sign or 'csv', sign)}"
    return _text_fault(kind, _text(start))


def _text_fault(kind: Kind, text: bytes) -> str:
    """What a text is that should be CSV or JSON lines, and is not."""
    for start, what in _MARKUP.items():
        if text[:20].lower().startswith(start):
            return f"this is not {_NAMES[kind]}, but {what}"
    if text.startswith((b"[{", b"[\n", b"[\r", b"[ ")) or (kind == "jsonl" and text[:1] == b"["):
        return "this is one JSON array: write one object a line (jq -c '.[]' does it)"
    if kind == "csv" and text.startswith(b'{"'):
        return "this is not CSV, but JSON: name it .jsonl, or say --format jsonl"
    return ""


def _sign(start: bytes) -> str | None:
    return next((what for sign, what in _STARTS.items() if start.startswith(sign)), None)


def _text(start: bytes) -> bytes:
    return start.removeprefix(codecs.BOM_UTF8).lstrip()
