"""`/review`: the next case, and what is done with it.

Each act is a form; the answer to htmx is the next case alone, to all others a redirect to it.
"""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
)
from flask_babel import gettext

from dashboard.context import here
from dashboard.review.asked import (
    LONGEST_NAME,
    Asked,
    address,
    asked,
    person,
    said_before,
    short,
    storable,
)
from dashboard.review.case import shown
from dashboard.review.desk import room
from dashboard.transactions.asked import Wrong
from db.cases.bulk import MOST
from db.cases.desk import Person
from db.cases.remarks import LONGEST_NOTE, LONGEST_TAG, add_note, add_tag, remove_tag
from tidegate.clock import now_us

blueprint = Blueprint("review", __name__)
HOUR_US = 3_600_000_000
SNOOZES = {"1h": HOUR_US, "4h": 4 * HOUR_US, "1d": 24 * HOUR_US, "7d": 7 * 24 * HOUR_US}
_LONGEST_ID = 4_000


@blueprint.get("/review")
def queue() -> Any:  # noqa: ANN401 - werkzeug's Response
    """The case that this browser has, or the one that the address names, or the next one."""
    meant, who = _meant(), person()
    if meant.faults:
        return render_template("review/wrong.html", asked=meant.texts, faults=meant.faults), 400
    wanted = request.args.get("case", "")
    _check_id(wanted)
    said = said_before()
    if wanted and not room().desk.claim(wanted, who, now_us()):
        said = gettext("That case is before somebody else, or decided. This is the next one.")
        wanted = ""
    found = wanted or room().desk.claim_next(meant.filters, who, now_us()) or ""
    return render_template("review/page.html", **_view(meant, who, found, said))


@blueprint.post("/review/move")
def move() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Let a case go, and take the one behind it, or before it."""
    meant, who, case = _act()
    back = request.form.get("to") == "previous"
    found = room().desk.claim_next(meant.filters, who, now_us(), case, back=back)
    if found is None:
        return _answer(meant, who, case, gettext("There is no other case."))
    return _answer(meant, who, found, gettext("Case %(case)s.", case=found))


@blueprint.post("/review/verdict")
def verdict() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Say what it was, and take the next case."""
    meant, who, case = _act()
    choice = request.form.get("verdict")
    if choice not in ("fraud", "legitimate"):
        abort(400, gettext("The verdict is fraud or legitimate."))
    given = room().desk.decide(case, fraud=choice == "fraud", person=who, now_us=now_us())
    if given is None:
        said = gettext("Nothing was noted: somebody else has this case, or has decided it.")
    elif choice == "fraud":
        said = gettext("Noted as fraud: %(case)s. U takes it back.", case=case)
    else:
        said = gettext("Noted as legitimate: %(case)s. U takes it back.", case=case)
    return _next(meant, who, case, said)


@blueprint.post("/review/undo")
def undo() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Take the newest verdict of this browser back, and show its case."""
    meant, who = _meant(), person()
    undone = room().desk.undo(who, now_us())
    if undone is None:
        case = request.form.get("case", "")
        _check_id(case)
        return _answer(meant, who, case, gettext("There is no verdict of yours to take back."))
    if undone.told:
        said = gettext(
            "The verdict on %(case)s had left already. The case is open again: another verdict "
            "corrects it.",
            case=undone.transaction_id,
        )
    else:
        said = gettext("Taken back: %(case)s.", case=undone.transaction_id)
    return _answer(meant, who, undone.transaction_id, said)


@blueprint.post("/review/snooze")
def snooze() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Put a case off, and take the next one."""
    meant, who, case = _act()
    span = SNOOZES.get(request.form.get("for", ""))
    if span is None:
        abort(400, gettext("One of %(choices)s.", choices=", ".join(SNOOZES)))
    if room().desk.snooze(case, now_us() + span, who, now_us()):
        said = gettext("Snoozed: %(case)s.", case=case)
    else:
        said = gettext("Nothing was noted: somebody else has this case, or has decided it.")
    return _next(meant, who, case, said)


@blueprint.post("/review/note")
def note() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Write a note on a case."""
    meant, who, case = _act()
    text = request.form.get("note", "").strip()
    if not text or len(text) > LONGEST_NOTE or not storable(text):
        words = gettext(
            "A note has 1 to %(most)s characters, none of them a control character.",
            most=LONGEST_NOTE,
        )
        return _answer(meant, who, case, words, 400)
    done = add_note(room().desk, case, text, who, now_us())
    return _answer(meant, who, case, gettext("The note is kept.") if done else _gone())


@blueprint.post("/review/tag")
def tag() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Tag a case, or take a tag from it."""
    meant, who, case = _act()
    try:
        text = short(request.form.get("tag", ""), LONGEST_TAG)
    except Wrong as wrong:
        return _answer(meant, who, case, str(wrong), 400)
    if not text:
        return _answer(meant, who, case, gettext("A tag has a name."), 400)
    if request.form.get("do") == "remove":
        done = remove_tag(room().desk, case, text, who)
        words = gettext("Tag %(tag)s is taken off.", tag=text)
    else:
        done = add_tag(room().desk, case, text, who)
        words = gettext("Tagged %(tag)s.", tag=text)
    return _answer(meant, who, case, words if done else _gone())


@blueprint.post("/review/assign")
def assign() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Say whose case it is."""
    meant, who, case = _act()
    try:
        to = short(request.form.get("assignee", ""), LONGEST_NAME)
    except Wrong as wrong:
        return _answer(meant, who, case, str(wrong), 400)
    done = room().desk.assign(case, to, who)
    words = gettext("Assigned to %(name)s.", name=to) if to else gettext("It is nobody's case.")
    return _answer(meant, who, case, words if done else _gone())


def _gone() -> str:
    return str(gettext("There is no such case any more."))


def _meant() -> Asked:
    return asked(here().profile, request.args)


def _act() -> tuple[Asked, Person, str]:
    """The filter, who acts, and on which case."""
    meant, case = _meant(), request.form.get("case", "")
    if meant.faults or not case:
        abort(400, gettext("Open the page again: its address is not one that it gave."))
    _check_id(case)
    return meant, person(), case


def _check_id(case: str) -> None:
    if len(case) > _LONGEST_ID or not storable(case):
        abort(400, gettext("That is no transaction's id."))


def _next(meant: Asked, who: Person, case: str, said: str) -> Any:  # noqa: ANN401 - a Response
    found = room().desk.claim_next(meant.filters, who, now_us(), case)
    return _answer(meant, who, found or "", said)


def _answer(meant: Asked, who: Person, case: str, said: str, status: int = 200) -> Any:  # noqa: ANN401 - a Response
    """The desk with this case on it; while somebody works on it, its claim goes on."""
    if case and not room().desk.claim(case, who, now_us()):
        case = ""
    there = address("review.queue", meant, **({"case": case} if case else {}))
    if request.headers.get("HX-Request") != "true":
        if status != 200:
            abort(status, said)
        flash(said)
        return redirect(there, 303)
    # htmx would show nothing of an answer that is an error
    answer = make_response(
        render_template("review/desk.html", **_view(meant, who, case, said), swap=True)
    )
    answer.headers["HX-Replace-Url"] = there
    return answer


def _view(meant: Asked, who: Person, case: str, said: str) -> dict[str, Any]:
    reader, now = room().reader, now_us()
    found = reader.get(case) if case else None
    return {
        "asked": meant.texts,
        "filters": meant.filters,
        "counts": reader.counts(meant.filters, who.claim, now),
        "tags": reader.known_tags(),
        "assignees": reader.known_assignees(),
        "who": who,
        "said": said,
        "snoozes": list(SNOOZES),
        "most": MOST,
        **(shown(here(), found) if found else {"case": None, "row": None}),
    }
