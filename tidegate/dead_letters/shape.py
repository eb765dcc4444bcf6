"""The shape of a sentence: numbers, ids, times and quoted values replaced by what they are.

Dead letters whose details have one shape, for one reason, died of one fault.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple

LONGEST = 200
"""Characters of a shape; what lies behind them tells nothing apart."""
_SHARE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)"
    r"""|(?P<text>(?<!\w)(?:'[^']*(?:'|$)|"[^"]*(?:"|$)))"""
    r"|(?P<number>-?\d+(?:[.,_]\d+)*(?:[eE][+-]?\d+)?(?![\w:/@+-]))"
    r"|(?P<word>[\w@](?:[\w.:/@+-]*\w)?)"
)
_DIGIT = re.compile(r"\d")


class Kind(NamedTuple):
    """What the letters of a group have in common."""

    stage: str
    reason: str
    shape: str

    @property
    def signature(self) -> str:
        """12 hexadecimal digits that name the group, in addresses and tables."""
        return blake2b("\0".join(self).encode(), digest_size=6).hexdigest()


def shape(detail: str) -> str:
    """A detail without what differs from record to record."""
    text = " ".join(_SHARE.sub(_stand_in, detail).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _stand_in(found: re.Match[str]) -> str:
    if found.lastgroup != "word":
        return f"<{found.lastgroup}>"
    return "<id>" if _DIGIT.search(found[0]) else found[0]


def kind_of(said: dict[str, str], detail: str) -> Kind:
    """The group of a dead letter, by what its headers say and the detail as it may be shown."""
    return Kind(said.get("stage", "")[:100], said.get("reason", "")[:100], shape(detail))
