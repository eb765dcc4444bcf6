"""What people do with dead letters: put them back, quarantine them, resolve a group with a note."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any, cast

from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for

from dashboard.context import here
from dashboard.dead_letters.jobs import Job, Kind
from dashboard.dead_letters.routes import group_of, letter_at
from dashboard.dead_letters.workbench import workbench
from db.audit import Act
from db.letter_groups import Resolution
from tidegate.clock import now_us
from tidegate.dead_letters.judgement import ATTEMPTS
from tidegate.dead_letters.letters import transaction_id
from tidegate.dead_letters.plan import Edit, Policy, Summary
from tidegate.dead_letters.reading import Place
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection

blueprint = Blueprint("letter_acts", __name__)
MOST = 1_000_000
LONGEST_NOTE = 2000
_PATIENCE = 2.0
"""Seconds after which the page comes back although the job goes on."""
_POLICIES = ("stop", "reinsert", "drop")
_WHAT = {"redrive": "dead letters redriven", "quarantine": "dead letters quarantined"}


@blueprint.get("/dead-letters/job")
def job() -> Response:
    """How the newest job stands; once it is done, the page that asks is to be loaded anew."""
    newest = workbench().jobs.newest
    answer = Response(render_template("dead_letters/job.html", job=newest))
    if newest is None or not newest.running:
        answer.headers["HX-Refresh"] = "true"
    return answer


@blueprint.post("/dead-letters/redrive")
def by_filter() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Put back, or quarantine, what waits of a stage and reason; "" is any."""
    stage, reason = request.form.get("stage", ""), request.form.get("reason", "")
    chosen = [
        each
        for each in workbench().groups.now().groups(now_us() // 1000)
        if stage in ("", each.kind.stage) and reason in ("", each.kind.reason)
    ]
    if not chosen:
        abort(404)
    told = {"stage": stage, "reason": reason}
    expected = sum(each.waiting for each in chosen)
    return _start(Selection(reason, stage), expected, "", told, url_for("dead_letters.page"))


@blueprint.post("/dead-letters/groups/<signature>/redrive")
def group(signature: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Put back, or quarantine, those of a group that wait now, the oldest first."""
    group_of(signature)
    waiting = workbench().groups.now().addresses(signature, 0, MOST, "waiting")
    places = frozenset((each.partition, each.offset) for each in waiting)
    back = url_for("dead_letters.group", signature=signature)
    if not places:
        return redirect(back, 303)
    told = {"group": signature, "letters": len(places)}
    return _start(Selection(places=places), len(places), "", told, back)


@blueprint.post("/dead-letters/letters/<place>/redrive")
def letter(place: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Put back, or quarantine, one letter as it is."""
    found = letter_at(place)
    if found is None:
        abort(404)
    selection = Selection(places=frozenset({found.place}))
    about = transaction_id(here().profile, found)
    back = url_for("dead_letters.letter", place=place)
    return _start(selection, 1, about, {"place": place}, back)


def put_back_edited(place: Place, about: str, value: bytes, back: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Put a mended copy of one letter back; the audit keeps its hash."""
    selection = Selection(places=frozenset({place}))
    told = {
        "place": f"{place[0]}:{place[1]}",
        "edited": True,
        "sha256": hashlib.sha256(value).hexdigest(),
    }
    return _start(selection, 1, about, told, back, edits={place: Edit(value, who())})


def who() -> str:
    """Who asks, for the audit and for headers."""
    return g.principal.name or "dashboard"


def _start(
    selection: Selection,
    expected: int,
    about: str,
    told: dict[str, Any],
    back: str,
    edits: dict[Place, Edit] | None = None,
) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Begin a job as the form says, wait a moment for its end, and go back to the page."""
    kind, policy = request.form.get("do", "redrive"), request.form.get("policy", "stop")
    most = request.form.get("most", type=int) if request.form.get("most") else 0
    if kind not in _WHAT or policy not in _POLICIES or most is None or not 0 <= most <= MOST:
        abort(400)
    bench = workbench()
    running = bench.jobs.newest
    if running is None or not running.running:
        here().audit.add(Act(who(), _WHAT[kind], about, told | {"policy": policy, "most": most}))
        limit = min(expected, most) if most else expected
        started = Job(cast(Kind, kind), who(), back, limit)
        work = partial(
            redrive,
            bench.broker,
            here().profile,
            selection,
            most=most,
            policy=cast(Policy, policy),
            attempts=ATTEMPTS if kind == "redrive" else 0,
            vault=bench.vault,
            edits=edits,
        )

        def run(summary: Summary) -> None:
            work(summary=summary)
            bench.settle()

        if bench.jobs.start(started, run):
            started.ended.wait(_PATIENCE)
            return redirect(back, 303)
    return redirect(f"{back}{'&' if '?' in back else '?'}busy=1", 303)


@blueprint.post("/dead-letters/groups/<signature>/resolve")
def resolve(signature: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Resolve a group as far as whoever asks has seen it."""
    group_of(signature)
    note, until_ms = request.form.get("note", "").strip(), request.form.get("until", type=int)
    if until_ms is None or not 0 <= until_ms < 1 << 53 or len(note) > LONGEST_NOTE or "\0" in note:
        abort(400)
    act = Act(who(), "dead letters resolved", signature, {"note": note})
    workbench().resolutions.resolve(Resolution(signature, note, who(), now_us(), until_ms), act)
    return redirect(url_for("dead_letters.group", signature=signature), 303)


@blueprint.post("/dead-letters/groups/<signature>/reopen")
def reopen(signature: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Open a group again."""
    group_of(signature)
    act = Act(who(), "dead letters reopened", signature)
    workbench().resolutions.reopen(signature, act)
    return redirect(url_for("dead_letters.group", signature=signature), 303)
