"""By which encoding a text file was written, and its content as UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO

BLOCK = 1 << 18
"""Bytes that are read at a time."""
_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""UTF-32 first: its mark begins as that of UTF-16."""
_ENOUGH = 0.01
"""Of the lines so many have to speak for Windows-1252: one bad byte in a long file does not."""
_TOP = 10
"""First lines, among which the columns' names stand: without them nothing can be read."""
_SPEAKING = frozenset("€£§ºª")
"""Signs that alone say that a text is Western European."""
_WESTERN = frozenset(
    b"\x80\x84\x91\x92\x93\x94\x96\xa0\xa1\xa3\xa7\xaa\xab\xb0\xb2\xb3\xb4\xb7\xba\xbb\xbf".decode(
        "windows-1252"
    )
)
"""What Western European texts hold besides letters."""


def find(head: bytes) -> tuple[str, str]:
    """The encoding of a file that begins so, and a sentence on why; "" where it is plain UTF-8."""
    for mark, name in _BOMS.items():
        if head.startswith(mark):
            return name, "" if name == "utf-8" else f"encoding: {name}, by its byte order mark"
    if wide := _wide(head):
        return wide, f"encoding: {wide}, by its NUL bytes"
    lines = head.splitlines()
    high = [line for line in lines[: -1 if len(lines) > 1 else None] if not line.isascii()]
    bad = [line for line in high if not is_utf8(line)]
    enough = len(bad) == len(high) and (
        len(bad) >= max(1, _ENOUGH * len(lines)) or any(line in bad for line in lines[:_TOP])
    )
    if enough and all(map(_is_western, bad)):
        return "windows-1252", (
            f"encoding: windows-1252, because {len(bad)} of the first {len(lines)} lines are not "
            "UTF-8"
        )
    return "utf-8", ""


def is_utf8(text: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def fault(encoding: str) -> str:
    """What to say of a row with a byte that the encoding does not know."""
    return (
        f"holds a byte that is not {encoding}: name the `encoding` under `file:` of the profile, "
        "or by --encoding, or mend the byte"
    )


def as_utf8(file: IO[bytes], encoding: str, block: int = BLOCK) -> Iterator[bytes]:
    """The content as UTF-8, without a byte order mark, at most about `block` bytes at a time.

    A byte that the encoding does not know stays one that is not UTF-8.
    """
    if _is_utf8_name(encoding):
        start = b""
        while len(start) < len(codecs.BOM_UTF8) and (some := file.read(block)):
            start += some
        if start := start.removeprefix(codecs.BOM_UTF8):
            yield start
        while some := file.read(block):
            yield some
        return
    decoder = codecs.getincrementaldecoder(encoding)(_BAD_BYTE)
    mark = "\ufeff"
    while some := file.read(block):
        if text := decoder.decode(some):
            yield text.removeprefix(mark).encode(errors="surrogateescape")
            mark = ""
    yield decoder.decode(b"", final=True).encode(errors="surrogateescape")


def _is_utf8_name(encoding: str) -> bool:
    return codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}


def _wide(head: bytes) -> str:
    """UTF-16 without a mark: in most texts every second byte is NUL."""
    pairs = len(head) // 2
    if pairs < 2:
        return ""
    if head[1::2].count(0) > 0.4 * pairs and head[::2].count(0) < 0.1 * pairs:
        return "utf-16-le"
    if head[::2].count(0) > 0.4 * pairs and head[1::2].count(0) < 0.1 * pairs:
        return "utf-16-be"
    return ""


def _is_western(line: bytes) -> bool:
    """Whether a line reads well as Windows-1252: letters, and no sign that a letter of another
    code page would be.
    """
    try:
        signs = [sign for sign in line.decode("windows-1252") if not sign.isascii()]
    except UnicodeDecodeError:
        return False
    letters = sum("À" <= sign <= "þ" for sign in signs)
    return all("À" <= sign <= "þ" or sign in "ŠšŽžŒœŸ" or sign in _WESTERN for sign in signs) and (
        letters > 0 or not _SPEAKING.isdisjoint(signs)
    )


def _escape(error: UnicodeError) -> tuple[str, int]:
    """For a byte that cannot be decoded: a surrogate that becomes a byte that is no UTF-8."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


_BAD_BYTE = "tidegate.bad_byte"
codecs.register_error(_BAD_BYTE, _escape)
