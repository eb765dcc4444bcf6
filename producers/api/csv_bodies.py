"""A CSV as the body of a batch: its rows as the reader of files makes them."""

from __future__ import annotations

import copy
import io
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from producers.api.batches import Batch
from producers.api.problems import Problem
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from model.files.reader import Reader
    from model.files.rows import Refusal
    from tidegate.profile import Profile

NAME = "the body"
"""What problems call the file."""


def read(raw: bytes, charset: str, profile: Profile, most: int) -> Batch:
    """The rows of a CSV in a `charset` ("" for none), no more than `most` and one.

    Raises Problem 422 for what is no CSV with the profile's columns.
    """
    from model.files.places import spooled
    from model.files.reader import Reader

    try:
        written = _in_charset(profile, charset)
        place = spooled(io.BytesIO(raw), NAME, "csv")
        reader = Reader(NAME, written, source=place, makes_ids=False)
        return _body(reader, most)
    except ConfigError as error:
        raise Problem("invalid", str(error), errors=[]) from error


def _body(reader: Reader, most: int) -> Batch:
    items: list[bytes] = []
    refused: list[Refusal] = []
    for rows in reader.rows():
        items += islice(rows.lines, most + 1 - len(items))
        refused += rows.refused
        if len(items) > most:
            break
    unreadable = {one.number - 1: _problem(one) for one in refused}
    return Batch(items, unreadable, [*reader.told, *_left_out(reader.unknown)])


def _left_out(columns: list[str]) -> list[str]:
    named = ", ".join(columns)
    return [f"columns left out, the profile does not know them: {named}"] if columns else []


def _problem(refusal: Refusal) -> Problem:
    errors = [{"field": refusal.field, "detail": refusal.detail}]
    return Problem("invalid", refusal.detail, reason=refusal.reason, errors=errors)


def _in_charset(profile: Profile, charset: str) -> Profile:
    if not charset:
        return profile
    changed = copy.copy(profile)
    changed.file = msgspec.structs.replace(profile.file, encoding=charset)
    if changed.file.problem():
        raise ConfigError(f"charset={charset}: expected a name such as windows-1252")
    return changed
