"""`tidegate dry-run` on a real Kafka: the stages are made as they are when they run."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from db.migrate import migrate
from tests.dashboard.dead_letters.letters import Bad, die
from tests.web import persist, scored, transaction
from tidegate.broker.kafka import KafkaBroker
from tidegate.dead_letters.letters import read_all
from tidegate.errors import ConfigError
from tidegate.pipeline import ALERTS, BY_ENTITY_2, DLQ, FEEDBACK, RAW, SCORED
from tidegate.profile import load_profile

pytestmark = pytest.mark.processes
PROFILE = load_profile("card")
OFFSETS = itertools.count(3_000_000_000, 1_000_000)


class Said:
    """The command, asked about letters of its own."""

    def __init__(self, broker: KafkaBroker, kafka: str, home: Path) -> None:
        self._broker = broker
        self.database = f"sqlite:///{home / 'tidegate.db'}"
        self._options = ["--kafka", kafka, "--db", self.database]
        migrate(self.database)

    def place(self, stage: str, topic: str, value: bytes) -> str:
        offset = next(OFFSETS)
        detail = f"by hand {offset}"
        die(self._broker, PROFILE, offset, [Bad(value, detail, stage=stage, topic=topic)])
        consumer = self._broker.consumer(None)
        [letter] = [each for each in read_all(consumer, DLQ) if each.told.get("detail") == detail]
        consumer.close()
        return "{}:{}".format(*letter.place)

    def of(self, place: str, *options: str, record: bytes | None = None) -> tuple[int, str]:
        """Exit code and words."""
        more = [] if record is None else ["--record", "-"]
        done = CliRunner().invoke(
            app, ["dry-run", place, *self._options, *more, *options], input=record
        )
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout


@pytest.fixture
def said(kafka: str, pipeline_topics: KafkaBroker, tmp_path: Path) -> Said:
    return Said(pipeline_topics, kafka, tmp_path)


def test_each_stage_is_asked(said: Said, pipeline_topics: KafkaBroker) -> None:
    body = transaction("dry-1")
    bad = json.dumps(body | {"amount": "x"}).encode()
    place = said.place("preprocess", RAW, bad)
    code, words = said.of(place)
    assert (code, words.startswith("it would fail again (wrong_type: ")) == (1, True)
    mended = json.dumps(body).encode()
    assert said.of(place, record=mended) == (0, "it would pass; its transaction is dry-1\n")
    persist(said.database, pipeline_topics, PROFILE, [scored(PROFILE, body)])
    code, words = said.of(place, "--json", record=mended)
    assert (code, json.loads(words)["outcome"]) == (0, "repeat")
    code, words = said.of(said.place("persist", SCORED, b"noise"))
    assert (code, "not_a_frame" in words) == (1, True)
    code, words = said.of(said.place("preprocess-2", BY_ENTITY_2, b"noise"))
    assert (code, "not_a_frame" in words) == (1, True)
    verdict = b'{"transaction_id": "%s", "verdict": "fraud"}'
    assert said.of(said.place("label", FEEDBACK, verdict % b"dry-1"))[0] == 0
    code, words = said.of(said.place("label", FEEDBACK, verdict % b"dry-2"))
    assert (code, "it would wait for its row" in words) == (0, True)
    code, words = said.of(said.place("notify", ALERTS, b"{}"))
    assert (code, "not_an_alert" in words) == (1, True)


@pytest.mark.usefixtures("said")
def test_a_letter_that_is_not_there(kafka: str) -> None:
    done = CliRunner().invoke(app, ["dry-run", "0:99999999", "--kafka", kafka])
    assert isinstance(done.exception, ConfigError)
    assert "no dead letter at 0:99999999" in str(done.exception)
