"""The text of a condition as tokens, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

MOST_CHARACTERS = 2000
Kind = Literal["number", "text", "name", "sign", "end"]
_TOKEN = re.compile(
    r"""
      (?P<blank>[ \t\r\n]+)
    | (?P<number>(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?(?![\w.]))
    | (?P<text>"[^"\n]*"|'[^'\n]*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>==|!=|<=|>=|[-+*/<>(),.:\[\]])
    """,
    re.VERBOSE,
)
_KINDS: dict[str | None, Kind] = {"number": "number", "name": "name", "sign": "sign"}
_HINTS = {
    "=": "compare with ==",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or != between two values",
    '"': "the text is not closed",
    "'": "the text is not closed",
}


class ConditionFault(ValueError):
    """What is wrong with a condition, and at which character (from 0)."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(f"character {at + 1}: {message}")
        self.message, self.at = message, at


class Token(NamedTuple):
    """A piece of a condition; `text` without quotes."""

    kind: Kind
    text: str
    at: int


def tokens(text: str) -> Iterator[Token]:
    """All tokens, and an end. Raises ConditionFault."""
    if len(text) > MOST_CHARACTERS:
        raise ConditionFault(f"expected at most {MOST_CHARACTERS:,} characters", MOST_CHARACTERS)
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            hint = _HINTS.get(text[at], "no condition holds this character")
            raise ConditionFault(f"{text[at]!r}: {hint}", at)
        kind, piece = match.lastgroup, match.group()
        if kind == "text":
            yield Token("text", piece[1:-1], at)
        elif kind in _KINDS:
            yield Token(_KINDS[kind], piece, at)
        at = match.end()
    yield Token("end", "", at)
