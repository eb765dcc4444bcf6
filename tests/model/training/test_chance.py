"""A model whose labels were drawn by chance is no better than chance, and everybody is told so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import typer

from cli.train import train as command
from model.bundles.bundle import Bundle
from model.bundles.catalog import listing, warning_of
from model.bundles.manifest import chance_warning
from model.training.train import train
from producers.simulator.history import read_frame, simulate_history
from tests.system.pipeline import Pipeline
from tests.trained import Trained
from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.profile import load_profile

PROFILE = load_profile("vector")
WORDS = "no better than chance"


class ByChance(NamedTuple):
    history: pd.DataFrame
    bundle: Bundle


@pytest.fixture(scope="module")
def by_chance(tmp_path_factory: pytest.TempPathFactory) -> ByChance:
    """A history whose verdicts were shuffled, and the bundle that learnt from it."""
    history = simulate_history(PROFILE, 10_000, seed=8)
    history["label"] = np.random.default_rng(1).permutation(history["label"])
    bundle = train(
        PROFILE,
        read_frame(PROFILE, history).history,
        tmp_path_factory.mktemp("bundles"),
        lambda _share, _what: None,
    )
    return ByChance(history, bundle)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    server = EmbeddedKafka(tmp_path / "broker", free_port())
    server.start()
    yield server
    server.stop()


def test_the_interval_on_the_test_slice_tells_them_apart(
    by_chance: ByChance, trained: Trained
) -> None:
    poor, good = by_chance.bundle.manifest, trained.bundle.manifest
    assert poor.metrics["auc_low"] <= 0.5
    assert WORDS in chance_warning(poor)
    assert 0.5 < good.metrics["auc_low"] < good.metrics["auc"] < good.metrics["auc_high"]
    assert chance_warning(good) == ""


def test_the_list_of_bundles_says_so(by_chance: ByChance) -> None:
    folder = by_chance.bundle.path.parent
    (row,) = listing(folder, "", PROFILE.hash.decode())
    assert WORDS in row["warning"]
    assert warning_of(folder, by_chance.bundle.hash) == row["warning"]
    assert warning_of(folder, "0123456789abcdef") == ""


def test_train_does_not_promote_it_and_says_how_to(
    by_chance: ByChance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No Kafka runs here: a promotion would fail in another way."""
    monkeypatch.setenv("TIDEGATE_PROFILE", "vector")
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TIDEGATE_KAFKA_PORT", str(free_port()))
    by_chance.history.to_parquet(tmp_path / "history.parquet")
    with pytest.raises(typer.Exit) as ended:
        command(history=str(tmp_path / "history.parquet"), promote=True)
    (path,) = (tmp_path / "home" / "bundles").iterdir()
    printed = capsys.readouterr()
    assert ended.value.exit_code == 3
    assert f"bundle {path.name}" in printed.out
    assert WORDS in printed.err
    assert f"`tidegate models promote {path.name}`" in printed.err


@pytest.mark.processes
def test_the_first_start_promotes_it_with_a_warning(
    by_chance: ByChance, broker: EmbeddedKafka, tmp_path: Path
) -> None:
    bundle = by_chance.bundle
    shutil.copytree(bundle.path, tmp_path / "models" / bundle.hash)
    pipeline = Pipeline(tmp_path / "home", profile="vector", env={"TIDEGATE_KAFKA": broker.address})
    done = pipeline.run("setup", "--models", str(tmp_path / "models"))
    assert (done.returncode, WORDS in done.stderr) == (0, True), done.stderr
    (row,) = json.loads(pipeline.run("models", "list", "--json").stdout)
    assert (row["bundle"], row["champion"]) == (bundle.hash, True)
    assert WORDS in pipeline.run("models", "list").stdout
    assert WORDS in pipeline.run("models", "show", bundle.hash).stdout
