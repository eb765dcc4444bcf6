"""A promotion on living scorers, one of which has a bundle folder of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from model.bundles.bundle import Bundle, save
from producers.simulator.history import simulate_history
from tests.support import eventually
from tests.system.pipeline import ROOT, Pipeline, trained_card
from tests.system.test_scale import scored_by, scorers, transaction
from tidegate.profile import load_profile

pytestmark = pytest.mark.processes


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path / "home", bundles=trained_card())
    made.start()
    yield made
    made.close()


@pytest.fixture
def elsewhere(pipeline: Pipeline, tmp_path: Path) -> Iterator[Path]:
    """The bundle folder of a second scorer."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(pipeline.home / "bundles", folder)
    with (tmp_path / "score.log").open("wb") as log:
        scorer = subprocess.Popen(
            pipeline.command("run", "score"),
            cwd=ROOT,
            env={**pipeline.env, "TIDEGATE_BUNDLES": str(folder), "TIDEGATE_METRICS_PORT": "0"},
            stdout=log,
            stderr=log,
        )
        eventually(lambda: sum(bool(one["partitions"]) for one in scorers(pipeline)) == 2, 60)
        yield folder
        scorer.terminate()
        scorer.wait(30)


def promote(pipeline: Pipeline, bundle: str) -> tuple[int, dict[str, Any], str]:
    done = pipeline.run("models", "promote", bundle, "--json")
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_a_bundle_that_one_scorer_lacks_is_promoted_only_once_it_is_there(
    pipeline: Pipeline, elsewhere: Path
) -> None:
    first = scored_by(pipeline)
    loaded = Bundle.load(pipeline.home / "bundles" / first)
    lower = {name: value / 2 for name, value in loaded.manifest.thresholds.items()}
    manifest = msgspec.structs.replace(loaded.manifest, thresholds=lower)
    second = save(pipeline.home / "bundles", manifest, loaded.detectors, loaded.ensemble).hash
    began = time.monotonic()
    code, _, words = promote(pipeline, second)
    assert (code, time.monotonic() - began < 20) == (78, True), words
    assert f"{second} is not promoted, the champion stays: score-" in words
    assert str(elsewhere / second) in words
    status, problem = pipeline.post(f"/v1/models/{second}/promote", {})
    assert (status, "the champion stays" in problem["detail"]) == (409, True)
    assert {scored_by(pipeline) for _ in range(10)} == {first}
    assert pipeline.get("/v1/models")[1]["champion"] == first
    shutil.copytree(pipeline.home / "bundles" / second, elsewhere / second)
    status, promoted = pipeline.post(f"/v1/models/{second}/promote", {})
    assert (status, promoted["previous"]) == (202, first)
    eventually(lambda: {one["bundle"] for one in scorers(pipeline)} == {second}, 20)
    assert {scored_by(pipeline) for _ in range(10)} == {second}
    code, rolled_back, words = promote(pipeline, first)
    assert (code, len(rolled_back.get("scorers", []))) == (0, 2), words
    name = f"replayed-{time.monotonic_ns()}"
    status, _ = pipeline.post("/v1/transactions?wait_ms=5000", transaction(name))
    assert status in (200, 202)
    eventually(lambda: pipeline.get(f"/v1/transactions/{name}")[0] == 200, 30)
    done = pipeline.run("replay", name, "--json")
    assert (done.returncode, json.loads(done.stdout)["same"]) == (0, True), done.stderr


def test_a_bundle_trained_on_one_machine_scores_on_another(tmp_path: Path) -> None:
    """Each has a home of its own; what they share is the URL."""
    shutil.copytree(trained_card(), tmp_path / "shared")
    url = f"file://{tmp_path / 'shared'}"
    pipeline = Pipeline(tmp_path / "home", env={"TIDEGATE_BUNDLES": url})
    trainer = Pipeline(tmp_path / "trainer", env={"TIDEGATE_BUNDLES": url})
    try:
        pipeline.start()
        first = scored_by(pipeline)
        history = tmp_path / "history.parquet"
        simulate_history(load_profile("card"), 20_000, seed=9).to_parquet(history)
        trainer.home.mkdir()
        done = trainer.run("train", "--history", str(history), "--json")
        second = json.loads(done.stdout)["bundle"]
        assert (tmp_path / "shared" / second / "manifest.json").exists()
        assert not (pipeline.home / "bundles" / second).exists()
        code, promoted, words = promote(pipeline, second[:6])
        assert (code, promoted.get("previous")) == (0, first), words
        assert scored_by(pipeline) == second
        status, listed = pipeline.get("/v1/models")
        assert (status, {one["bundle"] for one in listed["bundles"]}) == (200, {first, second})
    finally:
        pipeline.close()
