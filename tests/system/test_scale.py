"""Three scoring processes share the work; a verdict and a promotion reach all of them."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from producers.simulator.history import simulate_history
from tests.support import eventually, partitions
from tests.system.pipeline import Pipeline, trained_card
from tidegate.pipeline import FEATURES
from tidegate.profile import load_profile

COUNT = 20_000


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    made = Pipeline(
        tmp_path_factory.mktemp("scale") / "home",
        bundles=trained_card(),
        arguments=("--scale", "score=3"),
    )
    made.start()
    yield made
    made.close()


def scorers(pipeline: Pipeline) -> list[dict[str, Any]]:
    done = pipeline.run("status", "--json")
    return [
        process for process in json.loads(done.stdout)["processes"] if process["stage"] == "score"
    ]


def test_three_score_without_loss_or_duplicates(pipeline: Pipeline, tmp_path: Path) -> None:
    frame = simulate_history(load_profile("card"), COUNT, seed=3).drop(columns="label")
    file = tmp_path / "made.parquet"
    frame.to_parquet(file)
    done = pipeline.run("send", str(file), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (json.loads(done.stdout)["rows"], pipeline.rows()) == (COUNT, COUNT)
    found = eventually(
        lambda: sum(one["processed"] for one in scorers(pipeline)) == COUNT and scorers(pipeline),
        20,
    )
    assert len(found) == 3
    assert all(one["processed"] > 0 for one in found)
    assigned = sorted(number for one in found for number in one["partitions"])
    assert assigned == list(range(partitions(FEATURES)))


def test_new_weights_reach_the_scorers_within_two_seconds(pipeline: Pipeline) -> None:
    """The quickest of three verdicts: other tests run on the same processors."""
    assert min(seconds_to_learn(pipeline, verdicts) for verdicts in (1, 2, 3)) < 2.0


def seconds_to_learn(pipeline: Pipeline, verdicts: int) -> float:
    """From a verdict, the first, second or so, until a transaction is scored with it."""
    name = f"judged-{verdicts}"
    assert pipeline.post("/v1/transactions?wait_ms=5000", transaction(name))[0] == 200
    eventually(lambda: pipeline.get(f"/v1/transactions/{name}")[0] == 200, 10)
    said = {"transaction_id": name, "verdict": "fraud"}
    assert pipeline.post("/v1/feedback", said)[0] == 202
    told = time.monotonic()
    eventually(lambda: learnt(pipeline) >= verdicts, 5)
    return time.monotonic() - told


def learnt(pipeline: Pipeline) -> int:
    """The labels that a transaction posted now is scored with."""
    name = f"after-{time.monotonic_ns()}"
    assert pipeline.post("/v1/transactions?wait_ms=5000", transaction(name))[0] in (200, 202)
    _, row = eventually(
        lambda: (found := pipeline.get(f"/v1/transactions/{name}"))[0] == 200 and found, 10
    )
    return int(row["online_labels"])


def test_a_decision_is_replayed_and_a_changed_row_is_found_out(pipeline: Pipeline) -> None:
    name = f"after-verdicts-{learnt(pipeline)}"  # scored by weights that have learnt
    assert pipeline.post("/v1/transactions?wait_ms=5000", transaction(name))[0] == 200
    eventually(lambda: pipeline.get(f"/v1/transactions/{name}")[0] == 200, 10)
    assert answer(pipeline, "replay", name) == {
        "transaction_id": name,
        "same": True,
        "differences": [],
    }
    with closing(sqlite3.connect(pipeline.home / "tidegate.db", timeout=30)) as database:
        database.execute(
            "UPDATE transactions SET score = score + 1e-12 WHERE transaction_id = ?", (name,)
        )
        database.commit()
    done = pipeline.run("replay", name, "--json")
    assert done.returncode == 1
    assert [pair["name"] for pair in json.loads(done.stdout)["differences"]] == ["score"]
    missing = pipeline.run("replay", "nobody")
    assert (missing.returncode, "nobody" in missing.stderr) == (78, True)


def test_a_row_that_lacks_a_score_gets_a_revision(pipeline: Pipeline) -> None:
    name = f"rescored-{learnt(pipeline)}"
    assert pipeline.post("/v1/transactions?wait_ms=5000", transaction(name))[0] == 200
    _, whole = eventually(
        lambda: (found := pipeline.get(f"/v1/transactions/{name}"))[0] == 200 and found, 10
    )
    with closing(sqlite3.connect(pipeline.home / "tidegate.db", timeout=30)) as database:
        (packed,) = database.execute(
            "SELECT scores FROM transactions WHERE transaction_id = ?", (name,)
        ).fetchone()
        database.execute(
            "UPDATE transactions SET scores = ? WHERE transaction_id = ?",
            (struct.pack("<d", math.nan) + packed[8:], name),
        )
        database.commit()
    revised = {"degraded": 1, "revised": 1, "failures": {}, "undecided": {}}
    assert answer(pipeline, "rescore") == revised
    _, row = pipeline.get(f"/v1/transactions/{name}")
    assert len(row["degraded"]) == 1
    assert {key: row["revision"][key] for key in ("score", "decision", "scores")} == {
        "score": whole["score"],
        "decision": whole["decision"],
        "scores": {detector: whole["scores"][detector] for detector in row["revision"]["scores"]},
    }


def test_a_promotion_and_its_rollback_reach_all_scorers(pipeline: Pipeline, tmp_path: Path) -> None:
    (first,) = [
        row["bundle"]
        for row in json.loads(pipeline.run("models", "list", "--json").stdout)
        if row["champion"]
    ]
    history = tmp_path / "history.parquet"
    simulate_history(load_profile("card"), COUNT, seed=9).to_parquet(history)
    second = answer(pipeline, "train", "--history", str(history))["bundle"]
    assert second != first
    changes = answer(pipeline, "models", "diff", first[:8], second[:8])
    assert changes["rows"][1] == COUNT
    promoted = answer(pipeline, "models", "promote", second[:8])
    assert (promoted["previous"], len(promoted["scorers"])) == (first, 3)
    assert scored_by(pipeline) == second
    assert answer(pipeline, "models", "rollback")["bundle"] == first
    assert scored_by(pipeline) == first


def answer(pipeline: Pipeline, *arguments: str) -> dict[str, Any]:
    done = pipeline.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def scored_by(pipeline: Pipeline) -> str:
    name = f"by-{time.monotonic_ns()}"
    assert pipeline.post("/v1/transactions?wait_ms=5000", transaction(name))[0] in (200, 202)
    _, row = eventually(
        lambda: (found := pipeline.get(f"/v1/transactions/{name}"))[0] == 200 and found, 30
    )
    return str(row["bundle"])


def transaction(name: str) -> dict[str, object]:
    return {
        "transaction_id": name,
        "user_id": "user-1",
        "amount": 950.0,
        "merchant": "m-1",
        "timestamp": "2026-01-31T02:00:00Z",
        "merchant_type": "gambling",
        "device_type": "desktop",
        "location_match": False,
    }
