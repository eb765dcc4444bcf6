"""Which format a file has, and who reads it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

from model.files.formats import camt, iso8583, mt940, ofx, pacs
from model.files.formats.entry import Items
from tidegate.errors import ConfigError

Read = Callable[[Path, date | None], Items]

FORMATS: dict[str, Read] = {
    "camt.052": lambda path, _: camt.read(path),
    "camt.053": lambda path, _: camt.read(path),
    "camt.054": lambda path, _: camt.read(path),
    "iso8583": iso8583.read,
    "mt940": lambda path, _: mt940.read(path),
    "ofx": lambda path, _: ofx.read(path),
    "pacs.008": lambda path, _: pacs.read(path),
}
_LOOK_BYTES = 1 << 16
_SIGNS = (
    ("ofx", re.compile(rb"OFXHEADER|<OFX>")),
    ("mt940", re.compile(rb"^(?:\{.*\{4:\s*)?:20:", re.MULTILINE)),
    (
        "iso8583",
        re.compile(rb'^\s*\[?\s*\{.*?"(?:t|mti|0|message_type)"\s*:', re.IGNORECASE | re.DOTALL),
    ),
)
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_ISO_20022 = re.compile(rb"urn:iso:std:iso:20022:tech:xsd:((?!head)[a-z]{4}\.\d{3})")


def reader(name: str) -> Read:
    """What reads a format. Raises ConfigError naming those that there are."""
    if name not in FORMATS:
        raise ConfigError(f"--format {name}: expected {', '.join(FORMATS)}")
    return FORMATS[name]


def detect(path: Path) -> str:
    """The format's name, by what the file begins with. Raises ConfigError."""
    with path.open("rb") as file:
        start = _plain(file.read(_LOOK_BYTES))
    if start.startswith(_PACKED):
        raise ConfigError(f"{path}: is packed: unpack it, and convert the files in it")
    message = _ISO_20022.search(start)
    if message:
        name = message[1].decode()
        if name in FORMATS:
            return name
        raise ConfigError(f"{path}: a {name}, which is not read: see docs/formats.md")
    for name, sign in _SIGNS:
        if sign.search(start):
            return name
    raise ConfigError(
        f"{path}: its format is not found by looking: name it by --format, one of "
        + ", ".join(FORMATS)
    )


def _plain(start: bytes) -> bytes:
    """The beginning of a file without its byte-order mark, and in one byte a letter."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return start.decode("utf-16", "replace").encode()
    return start.removeprefix(codecs.BOM_UTF8)
