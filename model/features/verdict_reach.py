"""How long a verdict can count in the rows of a keyed step after its label was recorded.

A label is recorded after its transaction, whose event time T is at most `max_ahead` later. It
counts from T + `label_delay` on. For a horizon from then it is in a pane, and may keep its row from
being emptied; no ring of panes is longer. Beyond that it changes no feature of a transaction that
is dated later. And of those that are folded after a state's clock C (ingest time, which never
falls) all are, but those dated before C. So a label recorded before

    C - (max_ahead + label_delay + horizon + LATE)

changes no feature but of a transaction that is late by more than `LATE`. (One that is absorbed so
late would also postpone when its row is forgotten by ingest time; passed over, it does not.)

The time of its record decides, not its event time: a file of the past and its verdicts, sent today,
are recorded today, and the verdicts count among the file's transactions.

A run of an entity's newest verdicts is ended by no time, so in its profile all verdicts may count.
"""

from __future__ import annotations

from model.features.plan import Plan
from tidegate.profile.field_types import Time
from tidegate.profile.spec import DAY, FraudRun

LATE = 7 * DAY


def reach_us(plan: Plan) -> int | None:
    """For how long after its record a verdict can count; None where no time bounds it."""
    profile = plan.profile
    if any(isinstance(spec, FraudRun) for spec in profile.computed.values()):
        return None
    field = profile.fields.get(profile.time_field or "")
    ahead = field.max_ahead if isinstance(field, Time) else 0
    return int(ahead + profile.label_delay_us + plan.program.horizon_us + LATE)


def counts_from_ms(reach: int | None, clock_us: int) -> int:
    """Labels recorded (ms) before this cannot count in a state of this clock; 0 when all can."""
    return 0 if reach is None else max(0, (clock_us - reach) // 1000)
