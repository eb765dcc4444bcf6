"""The forms of the page of rules: each changes the draft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from flask import Blueprint, abort, render_template, request
from flask_babel import gettext

from dashboard.rules.routes import back, change, desk, who
from tidegate.clock import now_us
from tidegate.messages.policy import ListEntry, Rule, Suppression
from tidegate.words import plain

if TYPE_CHECKING:
    from tidegate.messages.policy import Policy

blueprint = Blueprint("rules_editing", __name__)
_DAY_US = 86_400_000_000
_LONGEST_DAYS = 3660


@blueprint.get("/rules/rule")
def rule() -> str:
    """The form of a rule, or of a new one."""
    name = request.args.get("name", "")
    for each in desk().working(who()).rules:
        if each.name == name:
            return _form(msgspec.to_builtins(each), name)
    if name:
        abort(404)
    return _form({"action": "review"}, "")


@blueprint.post("/rules/rule")
def save_rule() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Put a rule into the draft; what is wrong stands at its field."""
    from model.policy.edit import with_rule
    from model.policy.faults import PolicyFault

    form, before = request.form, request.form.get("before", "")
    values = {name: form.get(name, "").strip() for name in ("name", "when", "action", "reason")}
    try:
        made = msgspec.convert(values | {"enabled": form.get("enabled") != "no"}, Rule)
    except msgspec.ValidationError as error:
        return _form(values, before, _by_field(str(error))), 400
    policy = with_rule(desk().working(who()), made, before)
    try:
        desk().save(who(), policy)
    except PolicyFault as fault:
        place = f"rules[{policy.rules.index(made)}]."
        faults = {
            each.place.removeprefix(place) if each.place.startswith(place) else "": each.message
            for each in fault.faults
        }
        return _form(values, before, faults), 400
    return back()


def _by_field(message: str) -> dict[str, str]:
    text, _, place = message.partition(" - at `$.")
    return {place.rstrip("`"): _plain_rule(place.rstrip("`"), plain(text))}


def _plain_rule(field: str, message: str) -> str:
    if field == "name":
        return str(gettext("Letters, digits, - _ and . only, at most 60."))
    if field == "when":
        return str(gettext("A condition is needed, such as amount > 1000."))
    return message


def _form(values: dict[str, Any], before: str, faults: dict[str, str] | None = None) -> str:
    from model.policy.vocabulary import Vocabulary

    work = desk()
    words = Vocabulary(work.profile)
    return render_template(
        "rules/rule.html",
        values=values,
        before=before,
        faults=faults or {},
        tx=list(words.tx.values()),
        model=list(words.model.values()),
        lists=work.working(who()).lists,
        erasable=work.profile.erasable,
    )


@blueprint.post("/rules/switch")
def switch() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Turn a rule on or off."""
    from model.policy.edit import with_rule

    name = request.form.get("name", "")

    def switched(policy: Policy) -> Policy:
        for each in policy.rules:
            if each.name == name:
                other = msgspec.structs.replace(each, enabled=not each.enabled)
                return with_rule(policy, other, name)
        raise KeyError(name)

    return change("rules", switched)


@blueprint.post("/rules/delete")
def delete() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Take a rule out."""
    from model.policy.edit import without_rule

    return change("rules", lambda policy: without_rule(policy, request.form.get("name", "")))


@blueprint.post("/rules/list")
def new_list() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Make a list."""
    from model.policy.edit import with_list

    form = request.form
    kind: Any = form.get("kind", "")
    name, field = form.get("name", "").strip(), form.get("field", "")
    return change("lists", lambda policy: with_list(policy, name, kind, field))


@blueprint.post("/rules/list/delete")
def delete_list() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Take a list out."""
    from model.policy.edit import without_list

    return change("lists", lambda policy: without_list(policy, request.form.get("name", "")))


@blueprint.post("/rules/entries")
def add_entries() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Put values on a list, one a line."""
    from model.policy.edit import with_entries

    form = request.form
    values = [line.strip() for line in form.get("values", "").splitlines() if line.strip()]

    def added(policy: Policy) -> Policy:
        if not values:
            raise ValueError(gettext("Write one value a line."))
        entries = [
            msgspec.convert(
                {"value": value, "until_us": _until(), "note": form.get("note", "").strip()},
                ListEntry,
            )
            for value in values
        ]
        return with_entries(policy, desk().profile, form.get("list", ""), entries)

    return change("lists", added)


@blueprint.post("/rules/entries/remove")
def remove_entries() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Take entries from a list, by their places in the version that was shown."""
    from model.policy.edit import list_of, without_entries

    form = request.form

    def removed(policy: Policy) -> Policy:
        if policy.version != form.get("version", ""):
            raise KeyError
        entries = list_of(policy, form.get("list", "")).entries
        places = {int(place) for place in form.getlist("place") if _is_small(place)}
        values = [each.value for place, each in enumerate(entries) if place in places]
        return without_entries(policy, desk().profile, form.get("list", ""), values)

    return change("lists", removed)


@blueprint.post("/rules/suppress")
def suppress() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Let no alert go out for a value."""
    from model.policy.edit import with_suppression

    form = request.form

    def suppressed(policy: Policy) -> Policy:
        until = _until()
        if not until:
            raise ValueError(gettext("For how many days? A suppression ends."))
        values = {
            "field": form.get("field", ""),
            "value": form.get("value", "").strip(),
            "until_us": until,
            "rules": form.getlist("rules"),
            "note": form.get("note", "").strip(),
        }
        return with_suppression(policy, desk().profile, msgspec.convert(values, Suppression))

    return change("suppressions", suppressed)


@blueprint.post("/rules/suppress/remove")
def unsuppress() -> Any:  # noqa: ANN401 - werkzeug's Response
    """End a suppression, by its place in the version that was shown."""
    from model.policy.edit import without_suppression

    def removed(policy: Policy) -> Policy:
        place = request.form.get("place", "")
        if policy.version != request.form.get("version", "") or not _is_small(place):
            raise KeyError
        return without_suppression(policy, int(place))

    return change("suppressions", removed)


def _until() -> int:
    """When what a form adds ends, us; 0: never. Raises ValueError."""
    days = request.form.get("days", "").strip()
    if not days:
        return 0
    if not _is_small(days) or not 0 < int(days) <= _LONGEST_DAYS:
        raise ValueError(gettext("Days: a whole number from 1 to %(most)d.", most=_LONGEST_DAYS))
    return now_us() + int(days) * _DAY_US


def _is_small(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7
