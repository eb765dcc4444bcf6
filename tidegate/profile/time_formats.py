"""How times are written, by the directives of `strptime`, as one regular expression for a column.

Arrow's own `strptime` keeps no fraction of a second and no zone, and one bad cell ends the column.
"""

from __future__ import annotations

import re
from typing import NamedTuple

ZONE = (
    r"Z|z|(?:UTC|GMT)?[+\-\x{2212}]\d{1,2}(?::?\d{2}(?::?\d{2})?)?(?:\[[\w/+\-]+\])?"
    r"|[A-Za-z][A-Za-z_]*(?:/[\w+\-]+)*"
)
"""What names a zone behind a time: an offset, an abbreviation, or a name of the IANA database."""
HALF = r"[AaPp][Mm]\b|[AaPp]\.[Mm]\."
"""Which half of the day."""
_DIRECTIVES = {
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<year2>\d{2})",
    "m": r"(?P<month>\d{1,2})",
    "b": r"(?P<monthname>[A-Za-z]{3,9})\.?",
    "B": r"(?P<monthname>[A-Za-z]{3,9})\.?",
    "d": r"\s*(?P<day>\d{1,2})",
    "e": r"\s*(?P<day>\d{1,2})",
    "H": r"\s*(?P<hour>\d{1,2})",
    "I": r"\s*(?P<hour>\d{1,2})",
    "p": rf"(?P<half>{HALF})",
    "M": r"(?P<minute>\d{2})",
    "S": r"(?P<second>\d{2})",
    "f": r"(?P<fraction>\d+)",
    "z": rf"(?P<zone>{ZONE})",
    "Z": rf"(?P<zone>{ZONE})",
    "a": r"[A-Za-z]+\.?",
    "A": r"[A-Za-z]+\.?",
    "%": "%",
}
_SHORT = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y"}
_COMPACT = {"m": r"(?P<month>\d{2})", "d": r"(?P<day>\d{2})", "H": r"(?P<hour>\d{2})"}
_TOKEN = re.compile(r"%(.)|(\s+)|(.)", re.DOTALL)


class TimeFormat(NamedTuple):
    """A format: `pattern` in RE2's syntax, with a group for each part that a cell gives."""

    text: str
    pattern: str

    @classmethod
    def parse(cls, text: str) -> TimeFormat:
        """Raises ValueError."""
        for short, long in _SHORT.items():
            text = text.replace(f"%{short}", long)
        if text.endswith("%"):
            raise ValueError("it ends with a single %")
        tokens = [found.groups() for found in _TOKEN.finditer(text)]
        parts = [_part(tokens, number) for number in range(len(tokens))]
        pattern = "".join(parts)
        names = re.findall(r"\?P<(\w+)>", pattern)
        if len(names) != len(set(names)):
            raise ValueError("a part is named twice")
        if not ({"year", "year2"} & set(names) and "day" in names):
            raise ValueError("it needs a year (%Y), a month (%m) and a day (%d)")
        if not {"month", "monthname"} & set(names):
            raise ValueError("it needs a month (%m)")
        return cls(text, rf"^\s*{pattern}\s*$")


def _part(tokens: list[tuple[str, ...]], number: int) -> str:
    """One token as a pattern. Beside another directive a number has all its digits."""
    directive, space, sign = tokens[number]
    if space:
        return r"\s+"
    if sign:
        return _sign(sign)
    if directive not in _DIRECTIVES:
        known = " ".join(f"%{name}" for name in sorted({*_DIRECTIVES, *_SHORT}))
        raise ValueError(f"%{directive} is not known; there are {known}")
    neighbours = tokens[max(0, number - 1) : number] + tokens[number + 1 : number + 2]
    if directive in _COMPACT and any(other[0] for other in neighbours):
        return _COMPACT[directive]
    return _DIRECTIVES[directive]


def _sign(sign: str) -> str:
    """A literal sign; a point and a comma before a fraction are the same."""
    return sign if sign.isalnum() else rf"\x{{{ord(sign):x}}}"
