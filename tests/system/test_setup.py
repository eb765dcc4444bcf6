"""`tidegate setup`: what a cluster needs before its stages start."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.bundles.promotion import current_champion
from tests.faults.bundle import card_bundle
from tests.system.pipeline import Pipeline
from tidegate.broker.kafka import KafkaBroker
from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.profile import load_profile
from tidegate.settings import Settings

pytestmark = pytest.mark.processes


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    made = EmbeddedKafka(tmp_path / "broker", free_port())
    made.start()
    yield made
    made.stop()


def test_it_makes_topics_tables_and_a_champion_from_a_given_folder(
    broker: EmbeddedKafka, tmp_path: Path
) -> None:
    folder, bundle = card_bundle()
    shutil.copytree(folder / bundle.hash, tmp_path / "models" / bundle.hash)
    pipeline = Pipeline(tmp_path / "home", env={"TIDEGATE_KAFKA": broker.address})
    for _ in range(2):  # every start runs it
        done = pipeline.run("setup", "--models", str(tmp_path / "models"))
        assert done.returncode == 0, done.stderr
    kafka = KafkaBroker(Settings(kafka=broker.address))
    champion = current_champion(kafka, load_profile("card").hash.decode())
    assert champion
    assert champion.champion.bundle == bundle.hash
    with sqlite3.connect(tmp_path / "home" / "tidegate.db") as database:
        assert database.execute("SELECT count(*) FROM transactions").fetchone() == (0,)
    database.close()
    assert pipeline.run("topics", "check").returncode == 0
