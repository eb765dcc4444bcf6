"""The pages of the dead letters: groups, one group, one letter."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, render_template, request, url_for

from dashboard.context import here
from dashboard.dead_letters.letter import one_letter
from dashboard.dead_letters.overview import (
    BADGES,
    FILTERS,
    STATES,
    Line,
    Overview,
    line_of,
    overview,
)
from dashboard.dead_letters.workbench import workbench
from db.audit import Act
from tidegate.clock import now_us
from tidegate.dead_letters.groups import Group
from tidegate.dead_letters.letters import DeadLetter, identity_of, transaction_id
from tidegate.dead_letters.reading import letters_at
from tidegate.dead_letters.selection import parse_place
from tidegate.errors import ConfigError

blueprint = Blueprint("dead_letters", __name__)
PAGE = 25
"""Letters of one page of a group."""
_MOST_LINES = 200
_LAST_PAGE = 100_000


@blueprint.get("/dead-letters")
def page() -> str:
    """The groups."""
    return render_template("dead_letters/page.html", **_listed())


@blueprint.get("/dead-letters/now")
def now() -> str:
    """The part of that page that changes."""
    return render_template("dead_letters/list.html", **_listed())


def _listed() -> dict[str, Any]:
    state, stage = request.args.get("state", "open"), request.args.get("stage", "")
    if state not in FILTERS:
        abort(400)
    found: Overview = overview(_lines(), "" if state == "all" else state, stage)
    lines, left = found.lines[:_MOST_LINES], len(found.lines) - _MOST_LINES
    return {
        "state": state,
        "stage": stage,
        "names": STATES,
        "filters": FILTERS,
        "badges": BADGES,
        "found": found,
        "lines": lines,
        "left": max(0, left),
        "reasons": sorted({each.group.kind.reason for each in found.lines}),
        "may_act": g.principal.may("models"),
        "job": workbench().jobs.newest,
        "busy": request.args.get("busy"),
        "asked": {"state": state, "stage": stage} if stage else {"state": state},
    }


def _lines() -> list[Line]:
    resolutions = workbench().resolutions.all()
    return [line_of(each, resolutions.get(each.signature)) for each in _groups()]


def _groups() -> list[Group]:
    return workbench().groups.now().groups(now_us() // 1000)


@blueprint.get("/dead-letters/groups/<signature>")
def group(signature: str) -> str:
    """One group, and its letters a page at a time, newest first."""
    found = group_of(signature)
    number = request.args.get("page", 0, type=int)
    if not 0 <= number <= _LAST_PAGE:
        abort(400)
    addresses = workbench().groups.now().addresses(signature, number * PAGE, PAGE + 1)
    shown, more = addresses[:PAGE], len(addresses) > PAGE
    places = [(each.partition, each.offset) for each in shown]
    read = workbench().read(lambda consumer: letters_at(consumer, places, workbench().vault))
    letters = [(each, _brief(read.get((each.partition, each.offset)))) for each in shown]
    return render_template(
        "dead_letters/group.html",
        line=line_of(found, workbench().resolutions.all().get(signature)),
        may_act=g.principal.may("models"),
        job=workbench().jobs.newest,
        busy=request.args.get("busy"),
        group=found,
        names=STATES,
        badges=BADGES,
        letters=letters,
        number=number,
        more=more,
        here=url_for("dead_letters.group", signature=signature),
    )


def group_of(signature: str) -> Group:
    """The group that is named so; 404 without one."""
    found = next((each for each in _groups() if each.signature == signature), None)
    if found is None:
        abort(404)
    return found


def _brief(letter: DeadLetter | None) -> dict[str, Any] | None:
    """What the list says of a letter; None when Kafka does not keep it any more."""
    if letter is None:
        return None
    profile = here().profile
    detail = profile.masks.said(letter.told.get("detail", ""), letter.plain)
    return {"id": transaction_id(profile, letter), "detail": detail, "attempt": letter.attempt}


@blueprint.get("/dead-letters/letters/<place>")
def letter(place: str) -> tuple[str, int] | str:
    """One letter."""
    return letter_page(place)


@blueprint.post("/dead-letters/letters/<place>/unmasked")
def unmasked(place: str) -> tuple[str, int] | str:
    """The same page without masks, once the audit has been told who looks."""
    found = letter_at(place)
    about = transaction_id(here().profile, found) if found else ""
    here().audit.add(Act(g.principal.name, "unmasked", about, {"dead_letter": place}))
    return letter_page(place, masked=False)


def letter_page(place: str, *, masked: bool = True, **more: object) -> tuple[str, int] | str:
    """The page of a letter; 404 with a word when it is not there."""
    found = letter_at(place)
    if found is None:
        return render_template("dead_letters/gone.html", place=place), 404
    shown = one_letter(here().profile, found, masked=masked)
    group = next((each for each in _groups() if each.kind == shown.kind), None)
    action = workbench().groups.now().action_of(identity_of(found))
    may_unmask = masked and bool(here().profile.masks.names) and g.principal.may("unmask")
    return render_template(
        "dead_letters/letter.html",
        letter=shown,
        group=group,
        action=action,
        may_unmask=may_unmask,
        names=STATES,
        may_act=g.principal.may("models"),
        job=workbench().jobs.newest,
        busy=request.args.get("busy"),
        here=url_for("dead_letters.letter", place=place),
        **more,
    )


def letter_at(place: str) -> DeadLetter | None:
    """The letter at PARTITION:OFFSET; None when there is none, 404 when that is no place."""
    try:
        wanted = parse_place(place)
    except ConfigError:
        abort(404)
    vault = workbench().vault
    return workbench().read(lambda consumer: letters_at(consumer, [wanted], vault)).get(wanted)
