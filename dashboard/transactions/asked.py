"""What a search's address asks for, looked at field by field."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from db.search.filters import Filters
from tidegate.messages.frames import DECISIONS
from tidegate.profile import Profile

VERDICTS = ("fraud", "legitimate", "none")
_LONGEST = 2000
"""Bytes of a text: as long as an id may be."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = 18


class Wrong(ValueError):
    """What is wrong with a field: a text that is to be translated, and what is put into it."""

    def __init__(self, text: str, **values: object) -> None:
        super().__init__(text % values if values else text)
        self.text, self.values = text, values


def _(text: str) -> str:
    """Marks a text for translation; who shows it translates it."""
    return text


class Asked(NamedTuple):
    """The fields that were filled in, as texts; the filters; and what is wrong, by field."""

    texts: dict[str, str]
    filters: Filters
    cursor: int | None
    faults: dict[str, Wrong]


def asked(profile: Profile, args: Mapping[str, str]) -> Asked:
    """Of the address's parameters those that a search knows; empty ones say nothing."""
    texts = {name: args[name].strip() for name in (*FIELDS, "cursor") if args.get(name, "").strip()}
    values: dict[str, Any] = {}
    faults: dict[str, Wrong] = {}
    for name, text in texts.items():
        try:
            values[name] = _cursor(text) if name == "cursor" else FIELDS[name](profile, text)
        except Wrong as error:
            faults[name] = error
    second = profile.entities[1] if len(profile.entities) > 1 else ""
    return Asked(
        {name: text for name, text in texts.items() if name != "cursor"},
        Filters(
            transaction_id=values.get("id"),
            account=values.get("account"),
            second=values.get("second"),
            second_entity=second,
            decision=values.get("decision"),
            min_score=values.get("min_score"),
            max_score=values.get("max_score"),
            min_amount=values.get("min_amount"),
            max_amount=values.get("max_amount"),
            since_us=values.get("since"),
            until_us=values.get("until"),
            bundle=values.get("model"),
            verdict=values.get("verdict"),
            reason=values.get("reason"),
        ),
        values.get("cursor"),
        faults,
    )


def _text(text: str) -> str:
    if "\0" in text or len(text.encode(errors="replace")) > _LONGEST:
        raise Wrong(_("At most %(most)s bytes, without NUL."), most=_LONGEST)
    return text


def _id(profile: Profile, text: str) -> str:
    return profile.stored_id(_text(text))


def _account(profile: Profile, text: str) -> str:
    if profile.account is None:
        raise Wrong(_("These transactions have no account."))
    return profile.stored(profile.account, _text(text))


def _second(profile: Profile, text: str) -> str:
    if len(profile.entities) < 2:
        raise Wrong(_("These transactions have no second entity."))
    return profile.stored(profile.entities[1], _text(text))


def _plain(_profile: Profile, text: str) -> str:
    return _text(text)


def _one_of(choices: tuple[str, ...]) -> Callable[[Profile, str], str]:
    def choice(_profile: Profile, text: str) -> str:
        if text not in choices:
            raise Wrong(_("One of %(choices)s."), choices=", ".join(choices))
        return text

    return choice


def _score(_profile: Profile, text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise Wrong(_("A number from 0 to 1."))
    return score


def _minor(profile: Profile, text: str) -> int:
    """Units as minor units, all digits of which are to be there."""
    if profile.money_field is None:
        raise Wrong(_("These transactions have no amount."))
    if profile.currency_field:
        raise Wrong(_("These amounts have several currencies, so they cannot be compared."))
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount.adjusted()) >= _DIGITS - profile.decimals:
        raise Wrong(_("An amount, such as 12.50."))
    minor = amount.scaleb(profile.decimals)
    if minor != minor.to_integral_value():
        raise Wrong(_("An amount with at most %(places)s decimals."), places=profile.decimals)
    return int(minor)


def _time(_profile: Profile, text: str) -> int:
    """A time of ISO 8601; one without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise Wrong(_("A time, such as 2026-01-31T18:00 (UTC).")) from None


def _cursor(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise Wrong(_("The address of a page that was never given."))
    return int(text)


FIELDS: dict[str, Callable[[Profile, str], Any]] = {
    "id": _id,
    "account": _account,
    "second": _second,
    "decision": _one_of(DECISIONS),
    "verdict": _one_of(VERDICTS),
    "min_score": _score,
    "max_score": _score,
    "min_amount": _minor,
    "max_amount": _minor,
    "since": _time,
    "until": _time,
    "model": _plain,
    "reason": _plain,
}
"""The parameters of a search, each with what reads it."""
