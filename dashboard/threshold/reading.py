"""What the page reads of rows and verdicts."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from dashboard.threshold import figures
from db.recent_scores import newest_us, read_recent, read_verdicts
from tidegate.profile import Profile

WEEKS = 4
"""So long a time before the label delay is judged by verdicts."""


class Found(NamedTuple):
    """The newest week, what mature verdicts say, and whether all of the time could be read."""

    week: figures.Week
    mature: figures.Mature
    whole: bool


def read(url: str, profile: Profile, others: Collection[str] = ()) -> Found:
    """Read it all; `others` are bundles of other profiles. Raises Retry."""
    until = newest_us(url) - profile.label_delay_us
    since = until - WEEKS * figures.WEEK
    recent = read_recent(url, since, others)
    first = int(recent.rows["event_us"].min(initial=until))
    verdicts = read_verdicts(url, profile.hash.decode(), max(since, first), until)
    return Found(
        figures.week_of(recent.rows, profile),
        figures.mature_of(recent.rows, verdicts, profile, until),
        recent.whole,
    )
