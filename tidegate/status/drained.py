"""Whether all that was recorded up to some time has gone through the pipeline into the database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import TopicPartition
from tidegate.errors import ConfigError, Retry
from tidegate.pipeline import group_of

_LOG = logging.getLogger(__name__)
_EVERY_US = 500_000
_POLLS = 5

Ends = Mapping[TopicPartition, int]


class Drained:
    """Follows marks through the stages, one at a time.

    A mark is the end of the first topic at some time. Once a stage is past it, the mark is the end
    of the topic that it writes, and so on; when the database is past the last one, all that had
    been recorded at that time is there, or is dead letters.

    `steps` are the stages that commit to Kafka, with the topic that each reads, in the order of the
    flow; `rows` gives the next offsets of topic `scored` in the database.
    """

    def __init__(
        self,
        broker: Broker,
        steps: Sequence[tuple[str, str]],
        scored: str,
        rows: Callable[[], Ends],
    ) -> None:
        self._broker, self._steps, self._scored = broker, steps, scored
        self._rows = rows
        self._consumers: dict[str, Consumer] = {}
        self._passed_us = self._started_us = self._looked_us = 0
        self._step = 0
        self._mark: Ends | None = None

    def __call__(self, time_us: int, now: int) -> bool:
        """Whether all that was recorded by `time_us` is through; False while nobody can say.

        `now` is the time by the clock that stamps the records. Looks at most twice a second.
        """
        if self._passed_us < time_us and not 0 <= now - self._looked_us < _EVERY_US:
            self._looked_us = now
            try:
                self._follow(now)
            except Retry as error:
                _LOG.info("it is not known whether verdicts wait for rows to come: %s", error)
                self.close()  # a client that lost its broker may never find it again
        return self._passed_us >= time_us

    def _follow(self, now: int) -> None:
        if self._mark is None:
            self._started_us = now
            self._set_mark(0)
        while self._mark is not None and self._is_past(self._mark):
            if self._step == len(self._steps):
                self._passed_us, self._mark = self._started_us, None
            else:
                self._set_mark(self._step + 1)

    def _set_mark(self, step: int) -> None:
        """The mark and its step change together, or not at all where the topic cannot be asked."""
        self._mark, self._step = self._ends(self._topic(step)), step

    def _topic(self, step: int) -> str:
        return self._steps[step][1] if step < len(self._steps) else self._scored

    def _is_past(self, mark: Ends) -> bool:
        if self._step == len(self._steps):
            done = self._rows()
        else:
            done = self._committed(self._steps[self._step][0], mark)
        behind = {
            source: done.get(source, -1)
            for source, end in mark.items()
            if done.get(source, -1) < end
        }
        return not behind or self._hold_nothing(behind, mark)

    def _hold_nothing(self, starts: Ends, mark: Ends) -> bool:
        """Whether there is no record from these offsets to the mark, only the ends of transactions
        and what was aborted.
        """
        reader = self._consumer("")
        reader.assign(
            {source: max(start, reader.bounds(source)[0]) for source, start in starts.items()}
        )
        for _ in range(_POLLS):
            if all((reader.position(source) or 0) >= mark[source] for source in starts):
                return True
            for batch in reader.poll(1, 0.1):
                if batch.offsets[0] < mark[batch.source]:
                    return False
        return False

    def _committed(self, stage: str, mark: Ends) -> Ends:
        try:
            positions = self._consumer(group_of(stage)).committed(sorted(mark))
        except ConfigError as error:  # this user may not see that group: the others say enough
            _LOG.warning("group %s is not looked at: %s", group_of(stage), error)
            return mark
        return {source: position.offset for source, position in positions.items()}

    def _ends(self, topic: str) -> Ends:
        reader = self._consumer("")
        return {source: reader.bounds(source)[1] for source in reader.partitions(topic)}

    def _consumer(self, group: str) -> Consumer:
        if group not in self._consumers:
            broker = self._broker
            self._consumers[group] = broker.watcher(group) if group else broker.consumer(None)
        return self._consumers[group]

    def close(self) -> None:
        """Let go of all clients; the next look makes new ones."""
        while self._consumers:
            self._consumers.popitem()[1].close()
