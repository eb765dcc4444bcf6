"""What the pipeline page makes of heartbeats: paces, lanes, where it jams, what to type."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from dashboard.dead_letters.workbench import workbench_of
from dashboard.pipeline.rates import Pace, Rates
from dashboard.pipeline.stages import holds, jam, lanes, on_request, stages_of
from model.bundles.promotion import promote
from tests.access.web import applications
from tests.support import eventually
from tidegate.broker.records import Batch, TopicPartition
from tidegate.messages.documents import encode
from tidegate.messages.heartbeats import Heartbeat, Held
from tidegate.pipeline import STATUS, stage_inputs
from tidegate.profile import load_profile

SECOND = 1_000_000


def beat(process: str, stage: str, at: int, processed: int, lag: int, **more: object) -> Heartbeat:
    made = Heartbeat(
        process, stage, 1, "h", [0, 1], True, lag, processed, 0, 0, "", -1, 9000, at * SECOND
    )
    return msgspec.structs.replace(made, **more)


def rates(*beats: Heartbeat) -> Rates:
    made = Rates()
    for one in beats:
        made.note(one)
    return made


def test_paces_of_the_last_seconds() -> None:
    made = rates(*(beat("s-1", "score", at, 100 * at, 50 * at) for at in range(30)))
    assert made.of(["s-1", "gone"]) == Pace(100, 50)
    assert made.of(["s-1"]).arriving == 150
    for at in range(30, 60):
        made.note(beat("s-1", "score", at, 2900, 0))
    assert made.of(["s-1"]) == Pace(0, 0), "what was before is forgotten"
    made.note(beat("s-1", "score", 61, 10, 0))
    assert made.of(["s-1"]) == Pace(), "it began anew"
    made.note(beat("s-1", "score", 60, 5000, 0))
    made.note(beat("s-1", "score", 63, 50, 0))
    assert made.of(["s-1"]) == Pace(20, 0), "an old heartbeat counts nothing"


def test_whatever_lies_on_the_topic() -> None:
    values: list[bytes | None] = [None, b"", b"noise", b"\xff", encode(beat("a", "score", 1, 5, 0))]
    values.append(encode(beat("a", "score", 3, 9, 0)))
    count = len(values)
    nothing: list[None] = [None] * count
    source = TopicPartition(STATUS, 0)
    made = Rates()
    made.absorb(
        Batch(source, list(range(count)), list(nothing), values, [0] * count, list(nothing))
    )
    assert made.of(["a"]) == Pace(2, 0)


def test_stages_of_another_version_are_left_out() -> None:
    beats = [beat("a", "notify", 1, 0, 0), beat("b", "of-tomorrow", 1, 0, 0)]
    assert on_request(beats) == {"notify": 2}


def test_lanes_follow_the_topics() -> None:
    names = list(stage_inputs(2))
    found = [[stage.name for stage in lane] for lane in lanes(stages_of(names, [], {}, Rates()))]
    assert ["preprocess", "preprocess-2", "score", "persist"] in found
    assert ["label", "learn"] in found
    assert sorted(name for lane in found for name in lane) == sorted(names)
    one = [stage.name for stage in lanes(stages_of(list(stage_inputs(1)), [], {}, Rates()))[0]]
    assert one == ["preprocess", "score", "persist"]


@pytest.mark.parametrize(
    ("processes", "partitions", "busy", "command"),
    [
        (1, 4, 0.9, "tidegate up --scale score=2"),
        (3, 4, 0.9, "tidegate up --scale score=4"),
        (4, 4, 0.9, ""),
        (1, 4, 0.2, None),
    ],
)
def test_where_it_jams(processes: int, partitions: int, busy: float, command: str | None) -> None:
    names = [f"score-{number}" for number in range(processes)]
    older = [beat(name, "score", 1, 0, 5000) for name in names]
    newer = [beat(name, "score", 3, 200, 9000, busy=busy) for name in names]
    calm = beat("persist-1", "persist", 3, 500, 9000, busy=0.99)
    made = rates(*older, *newer, msgspec.structs.replace(calm, time_us=SECOND), calm)
    counts = {"score": partitions, "persist": 4}
    found = jam(stages_of(["score", "persist"], [*newer, calm], counts, made))
    if command is None:
        assert found is None
    else:
        assert found is not None
        assert (found.stage.name, found.command) == ("score", command)


def test_one_process_only_is_not_scaled() -> None:
    beats = [beat("learn-1", "learn", at, 0, 5000 * at, busy=1.0) for at in (1, 3)]
    found = jam(stages_of(["learn"], beats[1:], {"learn": 1}, rates(*beats)))
    assert found is not None
    assert found.command == ""


def test_scorers_that_load_the_champion(tmp_path: Path) -> None:
    with applications(tmp_path) as (_, pages):
        broker = workbench_of(pages).broker
        offset = promote(
            broker, "some-bundle", load_profile("card").hash.decode(), by="test"
        ).offset
        now = time.time_ns() // 1000
        for process, seen in (("score-1", offset), ("score-2", offset + 1)):
            found = beat(process, "score", 1, 0, 0, models_offset=seen, time_us=now)
            broker.producer().produce(STATUS, process.encode(), encode(found), lambda _: None)
        client = pages.test_client()
        eventually(lambda: b"1 process loads the champion" in client.get("/pipeline/now").data)


def test_holds_come_with_their_command() -> None:
    held = [Held(2, 100, 120, ["invalid_json"]), Held(3, 7, 50, [], lost=43)]
    found = holds(stages_of(["score"], [beat("s", "score", 1, 0, 0, held=held)], {}, Rates()))
    assert [hold.command for hold in found] == [
        "tidegate skip score --partition 2 --until 120",
        "tidegate skip score --partition 3 --accept-loss",
    ]
