"""What `tidegate status` says beyond the heartbeats: causes, and dead letters."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from cli.options import command_name
from cli.status import Cause, Server, cause_of_hold, explain, letters_line, show
from tests.support import eventually
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.dead_letters.listing import Waiting
from tidegate.host.exits import Exits, read_exits
from tidegate.host.process import Child
from tidegate.host.supervisor import Supervisor
from tidegate.messages.documents import encode
from tidegate.messages.heartbeats import Heartbeat, Held, Restoring
from tidegate.status.board import Board


def supervised(home: Path, name: str, code: str) -> tuple[Supervisor, Child]:
    """A child that runs `code`, and a supervisor that writes down its end."""
    child = Child(name, [sys.executable, "-c", code], home)
    child.start()
    return Supervisor([child], None, Exits(home).note), child


@pytest.mark.processes
def test_a_stage_that_gave_up_says_why_and_what_to_do(tmp_path: Path) -> None:
    words = "tidegate: 100 of the last 1000 records are rejects (invalid_json): mend the producer"
    supervisor, child = supervised(tmp_path, "label", f"import sys; print({words!r}); sys.exit(78)")
    eventually(lambda: supervisor.watch() or child.phase == "refused")
    [cause] = explain(["label: no live process"], read_exits(tmp_path), tmp_path)
    assert cause.fault == "label: no live process"
    assert cause.why == f"label gave up with exit code 78: {words}"
    assert cause.mend.startswith("mend that, then end `tidegate up` and start it again")
    supervisor.drain()
    assert "label" in read_exits(tmp_path), "a stop keeps the cause"


@pytest.mark.processes
def test_a_stage_that_is_started_again_says_why(tmp_path: Path) -> None:
    supervisor, child = supervised(tmp_path, "score.2", "raise ValueError('no luck')")
    eventually(lambda: supervisor.watch() or child.restarts > 0)
    eventually(lambda: supervisor.watch() or child.phase == "backoff")
    [cause] = explain(["score: partitions 1 not assigned"], read_exits(tmp_path), tmp_path)
    assert cause.why == "score.2 ended with exit code 1: ValueError: no luck"
    supervisor.drain()


@pytest.mark.processes
def test_a_stage_that_runs_again_has_no_cause(tmp_path: Path) -> None:
    code = "import pathlib, sys, time; p = pathlib.Path(sys.argv[1]);"
    code += "p.exists() or (p.touch(), sys.exit('first')); time.sleep(60)"
    child = Child("learn", [sys.executable, "-c", code, str(tmp_path / "ran")], tmp_path)
    child.start()
    supervisor = Supervisor([child], None, Exits(tmp_path).note)
    eventually(lambda: supervisor.watch() or "learn" in read_exits(tmp_path))
    eventually(lambda: supervisor.watch() or "learn" not in read_exits(tmp_path))
    [cause] = explain(["learn: no live process"], read_exits(tmp_path), tmp_path)
    assert cause.mend == "start `tidegate up` here, or `tidegate run learn` on any machine"
    supervisor.drain()


@pytest.mark.parametrize("damaged", ["", "{"])
def test_exits_that_cannot_be_read_are_none(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "exits.json").write_text(damaged)
    assert read_exits(tmp_path) == {}
    assert read_exits(tmp_path / "nowhere") == {}


def test_dead_letters_in_one_line() -> None:
    assert letters_line(Waiting()) == "no dead letter waits"
    assert letters_line(Waiting({"invalid_json": 1200, "empty": 1}, complete=False)) == (
        "dead letters that wait: at least 1,201 (1,200 invalid_json, 1 empty); "
        f"`{command_name()} dead-letters --waiting` lists them"
    )


def heartbeat() -> Heartbeat:
    return Heartbeat(
        process="score",
        stage="score",
        pid=7,
        host="here",
        partitions=[0, 1, 3],
        restored=True,
        lag=1234,
        processed=5678,
        rejected=0,
        restarts=0,
        bundle="3f2a" * 4,
        models_offset=1,
        metrics_port=8001,
        time_us=1,
        refused="91bc: it is not there",
        restoring=[Restoring(3, 0.35, 4000, 40.2), Restoring(1, 0, -1, -1)],
    )


def test_a_process_that_ends_is_not_ready(capsys: pytest.CaptureFixture[str]) -> None:
    show([msgspec.structs.replace(heartbeat(), stopping=True)], [], [], Waiting())
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split()[:4] == ["score", "7", "0-1,3", "ends"]


def test_people_read_the_cause_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    beat = heartbeat()
    servers = [Server("ingest", "http://127.0.0.1:5000/healthz", healthy=False)]
    cause = Cause("label: no live process", "label gave up with exit code 78: no luck", "mend that")
    show([beat], servers, [cause], Waiting())
    lines = capsys.readouterr().out.splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert words[1] == "score 7 0-1,3 yes 1,234 5,678 0 3f2a3f2a 8001"
    assert words[2:] == [
        "ingest no 5000",
        "no dead letter waits",
        "refused by score: 91bc: it is not there",
        "do: give that scorer the bundle (it looks every 10 s), or "
        f"`{command_name()} models rollback`",
        "score: restoring partition 3: 35%, about 40 s left",
        "score: partition 1 waits to be restored",
        "not ready label: no live process",
        "why: label gave up with exit code 78: no luck",
        "do: mend that",
    ]


def test_a_held_partition_says_where_and_why() -> None:
    broker = MemoryBroker({"in": 1})
    board = Board(broker, {"score": "in"}, clock=lambda: 1)
    beat = heartbeat()
    beat.held = [Held(1, 70, 180, ["invalid_json"])]
    batch = Batch(TopicPartition("status", 0), [0], [b"score"], [encode(beat)], [0], [None])
    board.absorb(batch)
    assert board.held() == [("score", beat.held[0])]
    cause = cause_of_hold("score", beat.held[0])
    assert cause.fault == "score: partition 1 is held at offset 70"
    assert cause.why == "too many of its records are rejects (invalid_json)"


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (Held(1, 20, 220, [], 200), "200 records lost between offset 20 and 220"),
        (Held(1, 500, 0, [], 1), "1 record lost between offset 499 and 500"),
    ],
)
def test_a_partition_held_for_a_loss_says_how_much_and_what_to_type(held: Held, why: str) -> None:
    cause = cause_of_hold("persist", held)
    assert cause.fault == f"persist: partition 1 is held at offset {held.offset}"
    assert cause.why == why
    assert "`tidegate skip persist --partition 1 --accept-loss`" in cause.mend
    assert f"offset {held.until}," in cause.mend
