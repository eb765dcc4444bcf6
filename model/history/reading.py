"""A history read from a file, and what there is to say of the reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from model.detectors.catalog import known
from model.features.intake import take_rows
from model.files.odd_times import OddTimes
from model.files.reader import Reader
from model.files.refusals import MOST_REFUSED, Refusals
from model.files.rows import Rows
from model.history.collector import Collector
from model.history.history import History
from model.progress import Progress
from tidegate.clock import day_of
from tidegate.errors import ConfigError
from tidegate.profile import Profile
from tidegate.words import count

_ROWS = 20_000


class Reading(NamedTuple):
    """The `history` that a file holds, the rows that were refused, how often an id came again, and
    what the reader has to tell.
    """

    history: History
    refusals: Refusals
    repeated: int
    told: list[str]

    def facts(self) -> dict[str, Any]:
        """For a script."""
        times, labels = self.history.times, self.history.labels
        return {
            "source": self.history.source,
            "read": self.refusals.read,
            "used": len(times),
            "refused": dict(self.refusals.by_reason),
            "repeated": self.repeated,
            "from_us": int(times[0]) if times.any() else None,
            "to_us": int(times[-1]) if times.any() else None,
            "frauds": int((labels == 1).sum()),
            "legitimate": int((labels == 0).sum()),
            "warning": self.warning(),
        }

    def sentences(self) -> list[str]:
        """For people: what was read, what was left out and why."""
        times, labels = self.history.times, self.history.labels
        span = f", {day_of(times[0])} to {day_of(times[-1])}" if times.any() else ""
        lines = [
            f"{self.history.source}: {count(self.refusals.read, 'row')} read, {len(times):,} used"
            f"{span}; {count(int((labels == 1).sum()), 'fraud')}, {(labels == 0).sum():,} "
            f"legitimate, {(labels < 0).sum():,} without a verdict"
        ]
        lines += [f"left out, {sentence}" for sentence in self.refusals.sentences()]
        if self.repeated:
            lines.append(
                f"left out, {count(self.repeated, 'row')} with the id of an earlier one: a "
                "transaction counts once"
            )
        return lines + self.told

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Say what was read, and last why no use could be made of it. Raises ConfigError."""
        try:
            yield
        except ConfigError as error:
            raise ConfigError("\n".join([*self.sentences(), str(error)])) from error

    def warning(self) -> str:
        """A doubt about the times; "" where there is none."""
        odd = OddTimes()
        odd.add(self.history.times)
        return odd.doubt()


def read_history(
    profile: Profile,
    place: str,
    label: str | None = "",
    most_refused: float = MOST_REFUSED,
    progress: Progress = lambda _share, _what: None,
    form: str = "",
) -> Reading:
    """The rows of a file that the API would take, by event time, and their verdicts.

    `label` is the column with the verdicts: "" the profile's, which a file may lack if no model
    learns from it; None if none are wanted. `form` is the file's kind where its name does not say
    it. Raises ConfigError naming what is wrong with the file, also when a larger share than
    `most_refused` of its rows is.
    """
    reader = Reader(place, profile, label, form, needed=_needs_verdicts(profile))
    reading = read_rows(profile, place, reader.rows(_ROWS), most_refused, progress)
    return reading._replace(told=reader.told)


def _needs_verdicts(profile: Profile) -> bool:
    kinds = known()
    return any(name in kinds and kinds[name].supervised for name in profile.models.names)


def read_rows(
    profile: Profile,
    place: str,
    batches: Iterable[Rows],
    most_refused: float = MOST_REFUSED,
    progress: Progress = lambda _share, _what: None,
) -> Reading:
    """Rows from `place` as a history. Raises ConfigError when too many of them are refused."""
    refusals, collector = Refusals(place, most_refused), Collector(profile)
    for rows in batches:
        intake = take_rows(profile, rows.lines, np.zeros(len(rows.lines), np.int64))
        intake = refusals.sift(profile, rows, intake)
        at = np.array(intake.at, np.intp)
        collector.add(
            intake,
            rows.ids if len(at) == len(rows.ids) else [rows.ids[i] for i in intake.at],
            rows.numbers[at],
            intake.columns.times,
            rows.labels[at],
        )
        progress(0.0, f"{place}: {refusals.read:,} rows read")
    refusals.check()
    history = collector.history(place)
    return Reading(history, refusals, collector.count - len(history.times), [])
