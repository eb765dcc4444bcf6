"""One run: load and faults, then quiet, then the checks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos import evidence
from tests.chaos.checker import check
from tests.chaos.evidence import Database, Evidence, Tape, committed, decode_online
from tests.chaos.faults import Faults
from tests.chaos.finding import Finding
from tests.chaos.ledger import Ledger, Sent
from tests.chaos.load import Load
from tests.chaos.retention import Retention
from tests.chaos.schedule import Fault
from tests.chaos.weights import weights
from tests.faults.kill9.cluster import Cluster
from tests.postgres import Postgres
from tests.support import ask, eventually
from tidegate.pipeline import CONSUMERS, STAGES, group_of
from tidegate.stream import waiting

_STUCK = 330.0
"""Seconds without any progress after which nothing is waited for any more: longer than Kafka waits
for the members of a group (max.poll.interval.ms, 300 s).
"""
_SHOWN = 10
_FEWEST, _LATER = 0.25, 120.0
"""On a slow machine the load goes on until it has posted this share, for at most so many s."""


@dataclass
class Run:
    """A load on a running cluster under a schedule of faults. Each id begins with `prefix`."""

    cluster: Cluster
    postgres: Postgres | None
    seed: int
    seconds: float
    rate: float
    say: Callable[[str], None]
    prefix: str = ""
    judges: bool = True
    """Verdicts on what has no row wait half a minute for one, and so does the end of the run."""

    def __call__(self, schedule: Sequence[Fault]) -> list[Finding]:
        """The findings, after everything has come to rest."""
        path = self.cluster.home / f"{self.prefix}ledger.jsonl"
        ledger, tape = Ledger(path), Tape(self.cluster.kafka.address)
        starts = self._raw_ends(tape) if self.prefix else {}
        load = Load(
            self.cluster.url,
            self.cluster.kafka.address,
            ledger,
            rate=self.rate,
            seed=self.seed,
            prefix=self.prefix,
        )
        load.judges = self.judges
        eventually(lambda: ask("GET", self.cluster.settings.port, "/healthz", None)[0] == 200, 90)
        load.start()
        try:
            retention = Retention(self.cluster, tape)
            faults = Faults(self.cluster, load, self.postgres, retention, self._told(load))
            self._wait_for_rows(load)
            faults.run(schedule, self.seconds)
            self._catch_up(load)
            load.enough.set()
            self._join(load)
            progress = self._settle(tape)
            if progress.bad:  # the others would only say what is missing
                return [progress]
            return [progress, *self._judge(Sent.read(path), tape, starts, retention)]
        finally:
            load.enough.set()
            tape.close()
            ledger.close()

    def _told(self, load: Load) -> Callable[[str], None]:
        def say(text: str) -> None:
            done = f"{load.accepted:,} posted, {load.produced:,} produced, {load.judged:,} judged"
            self.say(f"{text}  [{done}]")

        return say

    def _wait_for_rows(self, load: Load) -> None:
        """What does not run yet cannot be broken."""
        database = Database(self.cluster.database)

        def flows() -> bool:
            self.cluster.tend()
            newest = database.newest()
            return load.error is not None or (newest != "" and newest.startswith(self.prefix))

        eventually(flows, _LATER, every=0.2)

    def _catch_up(self, load: Load) -> None:
        pause, deadline = threading.Event(), time.monotonic() + _LATER
        fewest = self.rate * self.seconds * _FEWEST
        while load.accepted < fewest and load.is_alive() and time.monotonic() < deadline:
            self.cluster.tend()
            pause.wait(0.2)

    def _join(self, load: Load) -> None:
        while load.is_alive():
            load.join(0.2)
            self.cluster.tend()
        if load.error is not None:
            raise AssertionError(f"the load ended: {load.error!r}") from load.error

    @staticmethod
    def _raw_ends(tape: Tape) -> dict[int, int]:
        tape.read()
        return {
            partition: end for (topic, partition), end in tape.ends.items() if topic == evidence.RAW
        }

    def _settle(self, tape: Tape) -> Finding:
        """Until all that is on the topics was taken further, and nothing came of it meanwhile.

        Positions may be seen before what was written with them: Kafka ends a transaction partition
        by partition. So the topics are read once more after nothing was left.
        """
        pause, left = threading.Event(), {"everything": 1}
        before = left
        ends: dict[tuple[str, int], int] = {}
        moved, longest = time.monotonic(), 0.0
        while (before or left or tape.in_flight or tape.ends != ends) and longest < _STUCK:
            self.cluster.tend()
            pause.wait(0.5)
            ends = dict(tape.ends)
            tape.read()
            before, left = left, self.left(tape)
            longest = max(longest, time.monotonic() - moved)
            if left != before:
                moved = time.monotonic()
                self.say(f"still to do: {left or 'nothing'}")
        bad = [f"{stage}: {records} left" for stage, records in left.items()]
        bad += [f"{source}: a transaction stays open" for source in tape.in_flight]
        return Finding("progress", {"s of standstill at most": round(longest)}, bad)

    def left(self, tape: Tape) -> dict[str, int]:
        """Records that each stage has not taken further, and verdicts that still wait."""
        left = {}
        for stage in CONSUMERS:
            topic = STAGES[stage].input
            sources = [(topic, number) for number in tape.partitions[topic]]
            offsets = self._offsets(stage, tape, sources)
            behind = sum(max(0, tape.ends.get(s, 0) - offsets.get(s, 0)) for s in sources)
            if behind:
                left[stage] = behind
        return left

    def _offsets(
        self, stage: str, tape: Tape, sources: list[tuple[str, int]]
    ) -> dict[tuple[str, int], int]:
        if STAGES[stage].into_database:
            return Database(self.cluster.database).offsets()
        if stage == "learn":
            return {sources[0]: max((one.labels for one in decode_online(tape)), default=0)}
        found = committed(self.cluster.kafka.address, group_of(stage), sources)
        return {s: offset - bool(waiting.decode(note)) for s, (offset, note) in found.items()}

    def _judge(
        self, sent: Sent, tape: Tape, starts: dict[int, int], retention: Retention
    ) -> list[Finding]:
        self.say("checking")
        of_this_run = Evidence(
            sent,
            [r for r in tape.records[evidence.RAW] if r.offset >= starts.get(r.partition, 0)],
            [r for r in tape.records[evidence.DLQ] if self._of_this_run(r, starts)],
            [r for r in tape.records[evidence.ALERTS] if self._named(r)],
            [r for r in tape.records[evidence.LABELS] if self._named(r)],
            Database(self.cluster.database).rows(self.prefix),
            retention.deleted,
            retention.accepted,
        )
        found = check(of_this_run)
        return [*found, weights(self.cluster, tape)] if self.judges else found

    def _named(self, record: evidence.Record) -> bool:
        return f'"transaction_id":"{self.prefix}'.encode() in (record.value or b"")

    def _of_this_run(self, letter: evidence.Record, starts: dict[int, int]) -> bool:
        if letter.told("topic") != evidence.RAW:
            return self._named(letter)
        return int(letter.told("offset")) >= starts.get(int(letter.told("partition")), 0)


def report(findings: Sequence[Finding], seed: int, schedule: Sequence[Fault]) -> str:
    """A line a check; where one is violated also the seed, the schedule and the first offenders."""
    lines = [str(finding) for finding in findings]
    if any(finding.bad for finding in findings):
        lines += [f"seed {seed}; the faults:", *map(str, schedule)]
        for finding in findings:
            lines += [f"{finding.check}: {offender}" for offender in finding.bad[:_SHOWN]]
    return "\n".join(lines)
