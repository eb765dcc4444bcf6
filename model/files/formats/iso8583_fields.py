"""The fields of ISO 8583 messages, out of JSON: one object, an array of them, or one a line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from model.files.formats.entry import Fault
from model.files.formats.whole import whole
from tidegate.errors import ConfigError

_NAME = re.compile(r"(?:f|de|field|bit)?[ _-]?0*(\d{1,3})", re.IGNORECASE | re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
_MTI_NAMES = {"t", "mti", "0", "message_type"}
_WRAPPERS = {"fields", "dataelements", "data_elements"}
_TEXTS = {"37", "41", "42", "102"}
"""Fields whose leading zeros a JSON number would have lost."""
MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Message:
    """One message: its type, and the fields it has by number."""

    mti: str
    fields: dict[str, str]

    def __getitem__(self, number: str) -> str:
        return self.fields.get(number, "").strip()

    @property
    def version(self) -> str:
        return self.mti[0]

    def raw(self, number: str) -> str:
        """A field with the spaces that belong to it; "" for none."""
        return self.fields.get(number, "")

    def digits(self, number: str, length: int) -> str:
        """A numeric field with its leading zeros; "" for none. Raises Fault for others."""
        value = self[number]
        if value and (not _DIGITS.fullmatch(value) or len(value) > length):
            raise Fault(number, "digits", f"expected at most {length} digits, and nothing else")
        return value.zfill(length) if value else ""


def messages(path: Path) -> Iterator[tuple[int, int, Message | Fault]]:
    """Each message with its number from 1 and its line (0 in an array), or what is wrong with it.

    Raises ConfigError for an array that is no JSON, or is too large to be read at once.
    """
    if _begins_with_bracket(path):
        for number, fields in enumerate(_array(path), start=1):
            yield number, 0, _message(fields)
        return
    number = 0
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if text.strip():
                number += 1
                yield number, line, _of_line(text)


def _begins_with_bracket(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1024).removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"["


def _array(path: Path) -> list[Any]:
    content = whole(path, MOST_BYTES).removeprefix(codecs.BOM_UTF8)
    try:
        return msgspec.json.decode(content, type=list[Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError(f"{path}: not an array in JSON, or cut off") from None


def _of_line(text: bytes) -> Message | Fault:
    try:
        return _message(msgspec.json.decode(text.removeprefix(codecs.BOM_UTF8)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fault("", "json", "is no JSON object on one line")


def _message(fields: object) -> Message | Fault:
    try:
        return _checked(fields)
    except Fault as fault:
        return fault


def _checked(fields: object) -> Message:
    if not isinstance(fields, dict):
        raise Fault("", "json", "expected an object of fields")
    named: dict[str, str] = {}
    for name, value in _flat(fields):
        number = _number(name)
        if number is None or value is None:
            continue
        if number in named:
            raise Fault(number, "twice", "stands there twice, under two names")
        named[number] = _text(number, value)
    mti = named.pop("t", "").zfill(4)
    if not re.fullmatch(r"[01][1-8]\d\d", mti, re.ASCII):
        raise Fault("0", "mti", "expected a message type of ISO 8583:1987 or 1993, such as 0200")
    return Message(mti, named)


def _flat(fields: dict[str, object]) -> Iterator[tuple[str, object]]:
    """The members of an object, and of the objects in it that hold the fields."""
    for name, value in fields.items():
        if isinstance(value, dict) and name.lower() in _WRAPPERS:
            yield from value.items()
        else:
            yield name, value


def _number(name: str) -> str | None:
    """The field's number, `t` for the message type; None for what is no field."""
    if name.lower() in _MTI_NAMES:
        return "t"
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def _text(number: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and number not in _TEXTS:
        return str(value)
    what = "expected a text"
    if number == "4":
        what = "expected minor units as a text of digits"
    raise Fault(number, "json", what)
