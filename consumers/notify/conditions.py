"""What is wrong for a while: told once when it has lasted, and once when it is over. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tidegate.notify.events import Event


class Condition(NamedTuple):
    """Something that is wrong now. `about` tells it from others of its kind."""

    kind: str
    about: str
    subject: str
    text: str = ""
    data: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.about}"


class Lasting(NamedTuple):
    """A condition that was seen from `since_us` to `seen_us`; whether that was told.

    `subject` is as it was told, or as it is now.
    """

    kind: str
    since_us: int
    seen_us: int
    told: bool
    subject: str


Known = dict[str, Lasting]
"""What is wrong, by the conditions' keys."""


def step(
    known: Mapping[str, Lasting], wrong: Mapping[str, Condition], now_us: int, patience_us: int
) -> tuple[Known, list[Event]]:
    """What is known when this is `wrong` now, and what is to be told.

    What has lasted for the patience is told; what has not been seen for as long is over.
    """
    after: Known = {}
    events: list[Event] = []
    for key, condition in wrong.items():
        before = known.get(key)
        since_us, told = (before.since_us, before.told) if before else (now_us, False)
        if not told and now_us - since_us >= patience_us:
            told = True
            events.append(_begun(condition, since_us))
        subject = before.subject if before and before.told else condition.subject
        after[key] = Lasting(condition.kind, since_us, now_us, told, subject)
    for key, lasting in known.items():
        if key in wrong:
            continue
        if now_us - lasting.seen_us < patience_us:
            after[key] = lasting
        elif lasting.told:
            events.append(_over(key, lasting))
    return after, events


def _begun(condition: Condition, since_us: int) -> Event:
    return Event(
        f"{condition.key}/{since_us}",
        condition.kind,
        condition.subject,
        condition.text or condition.subject,
        since_us,
        {"about": condition.about, "state": "begun", **condition.data},
    )


def _over(key: str, lasting: Lasting) -> Event:
    minutes = max(1, round((lasting.seen_us - lasting.since_us) / 60e6))
    subject = f"Over: {lasting.subject}"
    return Event(
        f"{key}/{lasting.since_us}/over",
        lasting.kind,
        subject,
        f"{subject}\nIt lasted about {minutes} min.",
        lasting.seen_us,
        {"about": key.partition("/")[2], "state": "over"},
    )
