"""The page of rules: what is in force, the draft of whoever looks, and proposals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext

from dashboard.context import KEY, Context
from tidegate.broker.ports import Broker
from tidegate.errors import ConfigError, Retry

if TYPE_CHECKING:
    from dashboard.rules.desk import Desk
    from db.policies.hits import Hits
    from db.policies.proposals import Proposal
    from tidegate.messages.policy import Policy

blueprint = Blueprint("rules", __name__)
_KEY = "tidegate.rules"
TABS = ("rules", "lists", "suppressions", "history")


def rules_in(app: Flask, broker: Broker) -> None:
    """Let the application have a desk, made when it is first needed."""
    app.extensions[_KEY] = {"broker": broker}


def close_rules(app: Flask) -> None:
    """Close what the desk has open."""
    if made := app.extensions[_KEY].get("desk"):
        made.close()


def desk() -> Desk:
    """The desk of this application; what it imports is compiled, so a server starts without it."""
    from dashboard.rules.desk import Desk

    kept: dict[str, Any] = current_app.extensions[_KEY]
    if "desk" not in kept:
        kept["desk"] = Desk(cast(Context, current_app.extensions[KEY]), kept["broker"])
    return cast("Desk", kept["desk"])


def who() -> str:
    """The author of what is changed now; "" where nobody has to say."""
    return cast(str, g.principal.name)


@blueprint.get("/rules")
def page() -> str:
    """What is in force, or what whoever looks is writing."""
    tab = request.args.get("tab", "rules")
    if tab not in TABS:
        abort(400)
    return shown_page(tab)


def shown_page(tab: str, fault: str = "") -> str:
    """The page, with what was wrong with a form."""
    from dashboard.rules.desk import DAYS
    from model.policy.personal import masked

    work = desk()
    draft = work.draft(who())
    now = work.now()
    policy = draft.policy if draft else now
    profile = cast(Context, current_app.extensions[KEY]).profile
    return render_template(
        "rules/page.html",
        tab=tab,
        fault=fault,
        tabs=TABS,
        now=now,
        applied=work.applied(),
        draft=draft,
        overtaken=draft is not None and draft.instead_of != now.version,
        lines_of_draft=work.lines(now, draft.policy) if draft else [],
        policy=masked(policy, profile),
        waiting=[(each, work.lines(now, each.policy)) for each in work.proposals.waiting()],
        hits=_hits(work) if tab in ("rules", "lists") else None,
        versions=work.history() if tab == "history" else [],
        fields=_text_fields(),
        days=DAYS,
        four_eyes=work.four_eyes,
        author=who(),
        may=g.principal.may("models"),
    )


def _hits(work: Desk) -> Hits | None:
    """None where they cannot be counted now."""
    try:
        return work.hits()
    except (Retry, ConfigError):
        return None


def _text_fields() -> list[str]:
    """The fields that lists may be of, those of windows first."""
    from tidegate.profile.field_types import Category, String

    profile = cast(Context, current_app.extensions[KEY]).profile
    texts = [name for name, field in profile.fields.items() if isinstance(field, String | Category)]
    others = [name for name in texts if name not in profile.hashed and not profile.erasable]
    return [*profile.hashed, *others]


def change(tab: str, changed: Callable[[Policy], Policy]) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Change the draft; back to the tab, or the page again with what was wrong."""
    import msgspec

    from tidegate.words import plain

    try:
        desk().save(who(), changed(desk().working(who())))
    except msgspec.ValidationError as error:
        return shown_page(tab, plain(str(error))), 400
    except KeyError:
        return shown_page(tab, gettext("That is not there any more.")), 400
    except (ConfigError, ValueError) as error:
        return shown_page(tab, str(error)), 400
    return back(tab)


def back(tab: str = "rules") -> Any:  # noqa: ANN401 - werkzeug's Response
    """To a tab of the page."""
    return redirect(url_for("rules.page", tab=tab), 303)


@blueprint.post("/rules/backtest")
def backtest() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Try the draft, or a proposal, on the rows of the last days."""
    proposal = _proposal()
    desk().try_out(proposal)
    return redirect(url_for("rules.page") + f"#backtest-{proposal.id}", 303)


@blueprint.post("/rules/apply")
def apply() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Bring it into force, or propose it, once its backtest has been shown."""
    from dashboard.rules.desk import Refused

    proposal = _proposal()
    try:
        done = desk().apply(proposal, request.form.get("version", ""), who())
    except Refused as refused:
        return shown_page("rules", _why(str(refused))), 409
    except Retry as error:
        return shown_page("rules", str(error)), 503
    if done == "applied":
        flash(gettext("Version %(version)s is in force.", version=proposal.version))
    else:
        flash(gettext("Proposed: somebody else has to bring it into force."))
    return back()


@blueprint.post("/rules/reject")
def reject() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Say no to a proposal."""
    from dashboard.rules.desk import Refused

    try:
        desk().reject(_proposal(), who())
    except Refused as refused:
        return shown_page("rules", _why(str(refused))), 409
    return back()


@blueprint.post("/rules/discard")
def discard() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Forget the draft."""
    desk().proposals.discard(who())
    return back()


@blueprint.post("/rules/begin")
def begin() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Begin a draft that says what an earlier version said."""
    version = request.form.get("version", "")
    return change("history", lambda _now: desk().of_version(version))


def _proposal() -> Proposal:
    """The draft or proposal that a form names; somebody else's draft is not there."""
    found = desk().proposals.get(request.form.get("id", "")[:64])
    if found is None or (found.state == "draft" and found.author != who()):
        abort(404)
    return found


def _why(word: str) -> str:
    """Why something was refused."""
    words = {
        "backtest": gettext("It has changed since: look at the backtest of what it says now."),
        "decided": gettext("It has been decided already."),
        "overtaken": gettext(
            "Another version has come into force since this was begun: discard it, and make the "
            "changes again."
        ),
        "nameless": gettext("This needs two people who sign in: see `tidegate users`."),
        "own": gettext("Somebody else than its author has to bring it into force."),
    }
    return str(words[word])
