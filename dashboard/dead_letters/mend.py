"""A mended copy of a dead letter: how it differs from the record, and what would come of it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from flask import Blueprint, abort, request, url_for

from dashboard.context import here
from dashboard.dead_letters.acts import put_back_edited
from dashboard.dead_letters.dry_run import dry_run
from dashboard.dead_letters.letter import LONGEST_EDIT, one_letter
from dashboard.dead_letters.routes import letter_at, letter_page
from tidegate.dead_letters.judgement import Judgement
from tidegate.dead_letters.letters import DeadLetter
from tidegate.errors import Rejected
from tidegate.profile import Profile

blueprint = Blueprint("letter_mend", __name__)
_MOST_LINES = 3000
"""Lines of two texts that are compared; more take seconds."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class DiffLine(NamedTuple):
    """A line of a unified diff: `kind` is added, removed, place or same."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A copy as it was typed, how it differs from what is shown, and what would become of it."""

    judgement: Judgement
    diff: list[DiffLine]
    draft: str
    value: bytes
    edited: bool


@blueprint.post("/dead-letters/letters/<place>/check")
def check(place: str) -> Any:  # noqa: ANN401 - a page, or a page and its status
    """The page of a letter with the dry-run of the copy in the form, or of the letter itself."""
    return letter_page(place, checked=_checked(_letter(place), place))


@blueprint.post("/dead-letters/letters/<place>/edited")
def edited(place: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Put the copy in the form back; one that would fail again, or that nobody can judge now, is
    not, and the page says why.
    """
    letter = _letter(place)
    if "value" not in request.form or not one_letter(here().profile, letter).editable:
        abort(400)
    checked = _checked(letter, place)
    if checked.judgement.outcome in ("fails", "not_known"):
        return letter_page(place, checked=checked)
    back = url_for("dead_letters.letter", place=place)
    return put_back_edited(letter.place, checked.judgement.id, checked.value, back)


def _letter(place: str) -> DeadLetter:
    found = letter_at(place)
    if found is None:
        abort(404)
    return found


def _checked(letter: DeadLetter, place: str) -> Checked:
    profile = here().profile
    if "value" not in request.form:
        return Checked(dry_run(place), [], "", b"", edited=False)
    draft = request.form["value"].replace("\r\n", "\n")
    shown = one_letter(profile, letter)
    if not shown.editable or len(draft) > LONGEST_EDIT:
        abort(400)
    diff = difference(shown.text, indented(draft))
    try:
        value = unmasked(profile, letter, draft)
    except Rejected as error:
        judgement = Judgement("fails", error.reason, error.detail)
        return Checked(judgement, diff, draft, b"", edited=True)
    return Checked(dry_run(place, value), diff, draft, value, edited=True)


def unmasked(profile: Profile, letter: DeadLetter, draft: str) -> bytes:
    """The record that is meant: without blanks, and with the letter's own values in the places of
    masks. Raises Rejected for a mask that stands for nothing.
    """
    typed = draft.encode("utf-8", "replace")
    try:
        document, minimal = msgspec.json.decode(typed), msgspec.json.format(typed, indent=-1)
    except _UNREADABLE:
        return typed
    if not profile.masks.names:
        return minimal
    try:
        original = msgspec.json.decode(letter.plain or b"null")
        return msgspec.json.encode(profile.masks.put_back(document, original))
    except ValueError as error:
        detail = f"{error}: a mask stands here, and the record has no such field"
        raise Rejected("masked", detail) from error


def indented(text: str) -> str:
    """JSON as the page shows records; what is not JSON as it is."""
    try:
        return msgspec.json.format(text, indent=2)
    except _UNREADABLE:
        return text


def difference(before: str, after: str) -> list[DiffLine]:
    """A unified diff; empty where nothing differs, or the texts are too long to compare."""
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > _MOST_LINES:
        return []
    kinds = {"+": "added", "-": "removed", "@": "place"}
    lines = list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    return [DiffLine(kinds.get(line[:1], "same"), line) for line in lines]
