"""Names of snapshot files, and which of them have to be read for one."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(r"(\d{20})(?:-(\d{20}))?\.snap")
Found = dict[int, int | None]
"""The snapshots of a folder by their offsets, and what each comes after."""


def found_in(names: Iterable[str]) -> Found:
    """Those among the names of files; where an offset has two, the whole one."""
    found: Found = {}
    for match in map(_NAME.fullmatch, sorted(names)):
        if match:
            found[int(match[1])] = int(match[2]) if match[2] else None
    return found


def name_of(offset: int, after: int | None) -> str:
    """The file's name of a snapshot at an offset, whole or after another one."""
    return f"{offset:020d}.snap" if after is None else f"{offset:020d}-{after:020d}.snap"


def chain_of(found: Found, offset: int) -> list[int]:
    """One and all that it comes after, the whole one last. Raises FileNotFoundError."""
    chain: list[int] = []
    at: int | None = offset
    while at is not None:
        if at not in found:
            raise FileNotFoundError(f"snapshot {at}, which {offset} comes after, is not there")
        chain.append(at)
        at = found[at]
    return chain


def reaches_whole(found: Found, offset: int) -> bool:
    """Whether one and all that it comes after are there."""
    at: int | None = offset
    while at is not None and at in found:
        at = found[at]
    return at is None
