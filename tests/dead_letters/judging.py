"""A dead letter on a bench: what a dry run says of it, and what a redrive makes of it."""

from __future__ import annotations

from typing import Any

from consumers.dry_run import dry_run
from consumers.notify.stage import NotifyStage
from db.store import Store
from tests.blocks import records_of
from tests.faults.injected.bench import NOW_MS, PROFILE, Bench
from tidegate.broker.records import Batch, TopicPartition
from tidegate.dead_letters.judgement import Judgement
from tidegate.dead_letters.letters import DeadLetter, edited_copy
from tidegate.dead_letters.plan import Edit
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.pipeline import ALERTS, BY_ENTITY_2, DLQ, FEATURES, FEEDBACK, LABELS, RAW, SCORED
from tidegate.stream.dead_letters import ATTEMPT, dead_letters
from tidegate.stream.stage import NoState, Reject, Stage

READERS = {
    RAW: "preprocess",
    BY_ENTITY_2: "preprocess-2",
    FEATURES: "score",
    SCORED: "persist",
    FEEDBACK: "label",
    LABELS: "learn",
    ALERTS: "notify",
}


def die(bench: Bench, topic: str, value: bytes, key: bytes = b"u2", failed: int = 0) -> DeadLetter:
    """A dead letter of a record that once lay on its topic."""
    earlier = [(ATTEMPT, str(failed).encode())]
    offset = 5_000_000 + len(bench.broker.logs[TopicPartition(DLQ, 0)])
    batch = Batch(TopicPartition(topic, 0), [offset], [key], [value], [NOW_MS], [earlier])
    letter = dead_letters(READERS[topic], PROFILE.hash, batch, [Reject(0, "gone", "by now")], 0)
    before = {each.identity for each in bench.dead()}
    bench.put(DLQ, letter.keys[0], letter.values[0], (letter.headers or [None])[0])
    [made] = [each for each in bench.dead() if each.identity not in before]
    return made


def judged(bench: Bench, letter: DeadLetter, mended: bytes | None = None) -> Judgement:
    """The dry-run; it leaves the broker as it was."""

    def stage_of(name: str) -> Stage[Any]:
        return NotifyStage(PROFILE, 0) if name == "notify" else bench.stage(name)[0]

    sizes = {source: len(log) for source, log in bench.broker.logs.items()}
    store = Store(bench.database, PROFILE)
    copy = None if mended is None else edited_copy(PROFILE, letter, mended)
    try:
        return dry_run(
            PROFILE, bench.broker, store, stage_of, letter, edited=copy, now_us=NOW_MS * 1000
        )
    finally:
        store.close()
        assert {source: len(log) for source, log in bench.broker.logs.items()} == sizes


def put_back(bench: Bench, letter: DeadLetter, mended: bytes | None = None) -> list[str]:
    """Redrive it, let all stages run to their end, and say why it has died again, if it has."""
    known = {each.identity for each in bench.dead()}
    edits = None if mended is None else {letter.place: Edit(mended, "the test")}
    done = redrive(bench.broker, PROFILE, Selection(places=frozenset({letter.place})), edits=edits)
    assert done.redriven == {letter.told["topic"]: 1}
    bench.run()
    if letter.told["topic"] == ALERTS:
        return told(bench)
    return [each.told["reason"] for each in bench.dead() if each.identity not in known]


def told(bench: Bench) -> list[str]:
    """Why notify refuses what lies on its topic."""
    stage = NotifyStage(PROFILE, 0)
    batches = list(records_of(bench.broker, TopicPartition(ALERTS, 0)))
    rejects = [stage.process(NoState(), batch).rejects for batch in batches]
    return [each.reason for one in rejects for each in one]


def rows(bench: Bench) -> set[str]:
    return {row.transaction_id for row in bench.rows()}
