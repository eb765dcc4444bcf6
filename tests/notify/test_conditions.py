"""What is wrong for how long, and what heartbeats, dead letters and the learner say of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.notify.conditions import Condition, Known, step
from consumers.notify.pipeline_state import of_heartbeats, of_learner, of_letters
from tidegate.clock import now_us
from tidegate.messages.heartbeats import Drift, Heartbeat, Held, Moved
from tidegate.notify.config import Bounds

MINUTE = 60_000_000
WRONG = Condition("lag", "score", "Stage score is 7 records behind")


BOUNDS = Bounds(lag=100, drift=0.5, patience_us=MINUTE)


def followed(sightings: list[bool]) -> list[str]:
    """What is told, when this is wrong or not every 10 s."""
    known: Known = {}
    told: list[str] = []
    for at, wrong in enumerate(sightings):
        known, events = step(known, {WRONG.key: WRONG} if wrong else {}, at * 10_000_000, MINUTE)
        told += [event.subject for event in events]
    return told


def test_what_lasts_is_told_once_and_its_end_once() -> None:
    assert followed([True] * 6) == []
    assert followed([True] * 30) == [WRONG.subject]
    assert followed([True] * 7 + [False] * 5 + [True] * 7) == [WRONG.subject]
    assert followed([True] * 7 + [False] * 7) == [WRONG.subject, f"Over: {WRONG.subject}"]
    assert followed([True] * 3 + [False] * 20) == []


def test_the_end_is_told_in_the_words_of_the_beginning() -> None:
    known: Known = {}
    told = []
    for at in range(20):
        wrong = {WRONG.key: WRONG._replace(subject=f"behind at {at}")} if at < 10 else {}
        known, events = step(known, wrong, at * 10_000_000, MINUTE)
        told += [event.subject for event in events]
    assert told == ["behind at 6", "Over: behind at 6"]


@given(st.lists(st.booleans(), max_size=80))
def test_beginnings_and_ends_take_turns(sightings: list[bool]) -> None:
    told = followed(sightings)
    assert (
        told
        == [WRONG.subject, f"Over: {WRONG.subject}"] * (len(told) // 2) + told[len(told) // 2 * 2 :]
    )
    assert len(told) % 2 == 0 or told[-1] == WRONG.subject


def test_a_second_time_is_another_event() -> None:
    known: Known = {}
    keys = []
    for at in range(0, 600, 10):
        wrong = {WRONG.key: WRONG} if at % 200 < 100 else {}
        known, events = step(known, wrong, at * 1_000_000, MINUTE)
        keys += [event.key for event in events]
    assert len(keys) == len(set(keys)) == 6


def beat(stage: str, **changes: object) -> Heartbeat:
    made = {
        "process": f"{stage}-1",
        "stage": stage,
        "pid": 1,
        "host": "here",
        "partitions": [0],
        "restored": True,
        "lag": 0,
        "processed": 0,
        "rejected": 0,
        "restarts": 0,
        "bundle": "b1",
        "models_offset": 0,
        "metrics_port": 0,
        "time_us": now_us(),
    } | changes
    return Heartbeat(**made)  # type: ignore[arg-type] # by name


def test_what_heartbeats_say() -> None:
    moved = [Moved("amount", "input", 0.7, 0.2), Moved("hour_sin", "derived", 3.0, 0.9)]
    beats = [
        beat("score", lag=60, process="a"),
        beat("score", lag=60, process="b", refused="b2: no such file"),
        beat("label", held=[Held(2, 17, 40, ["invalid_json"])]),
        beat("learn", lag=1_000, stopping=True),
        beat("persist", held=[Held(0, 5, 9, [], lost=4)]),
    ]
    wrong = of_heartbeats(beats, ["cases: no live process"], Drift("b1", 900, moved), BOUNDS)
    assert [(one.key, one.subject) for one in wrong] == [
        ("stage_missing/cases", "Stage cases: no live process"),
        ("lag/score", "Stage score is 120 records behind"),
        ("held/label/2", "Stage label holds partition 2 at offset 17: invalid_json"),
        ("held/persist/0", "Stage persist holds partition 0 at offset 5: 4 records are lost"),
        ("champion_refused/b", "b refuses: b2: no such file"),
        ("drift/b1", "The newest 900 rows are not what model b1 learnt from"),
    ]
    assert wrong[-1].text == "Moved most: amount (PSI 0.70)"
    assert of_heartbeats([beat("score")], [], Drift("b1", 900, moved[1:]), BOUNDS) == []


def test_what_letters_and_the_learner_say() -> None:
    letters = of_letters({("score", "exception"): 1, ("preprocess", "invalid_json"): 1200})
    assert [one.subject for one in letters] == [
        "1,200 dead letters of preprocess: invalid_json",
        "1 dead letter of score: exception",
    ]
    assert of_learner("b1", frozen=False) == []
    assert [one.key for one in of_learner("b1", frozen=True)] == ["learner_frozen/b1"]
