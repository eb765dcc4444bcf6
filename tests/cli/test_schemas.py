"""The schemas in docs/messages are those of the code, and go on suiting who uses them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from cli.schemas import read, schemas, write
from tests.web import ROOT, transaction
from tidegate.errors import ConfigError
from tidegate.messages.compatible import breaks
from tidegate.messages.documents import Champion, Verdict, encode
from tidegate.messages.heartbeats import Heartbeat
from tidegate.pipeline import DLQ, FEEDBACK, FRAMES, MODELS, QUARANTINE, RAW, STATUS, TOPICS
from tidegate.profile import load_profile

FOLDER = ROOT / "docs/messages"
CARD = load_profile("card")


def test_every_topic_of_json_has_its_schema() -> None:
    """Dead letters are what came in, whatever that was."""
    assert set(schemas(CARD)) == set(TOPICS) - {*FRAMES, DLQ, QUARANTINE}
    assert {file.stem for file in FOLDER.iterdir()} == set(schemas(CARD))


@pytest.mark.parametrize("topic", schemas(CARD))
def test_the_files_are_what_the_code_says_and_nothing_breaks(topic: str) -> None:
    committed, new = read(FOLDER, topic), schemas(CARD)[topic]
    assert committed is not None
    assert breaks(committed, new) == [], "this breaks others: see tidegate topics schemas --help"
    assert committed == new, "type: tidegate topics schemas docs/messages"


def test_messages_are_as_their_schemas_say() -> None:
    beat = Heartbeat("score-1", "score", 1, "here", [0], True, 0, 1, 0, 0, "b", 1, 9100, 2)
    found = schemas(CARD)
    for topic, message in (
        (RAW, json.dumps(transaction("t-1")).encode()),
        (FEEDBACK, encode(Verdict("t-1", "fraud"))),
        (MODELS, encode(Champion("b", "p", 1))),
        (STATUS, encode(beat)),
    ):
        jsonschema.validate(json.loads(message), found[topic])
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({}, found[topic])


def test_a_change_that_breaks_others_is_written_only_on_demand(tmp_path: Path) -> None:
    assert set(write(tmp_path, CARD, breaking=False)) == set(schemas(CARD))
    assert write(tmp_path, CARD, breaking=False) == []
    file = tmp_path / f"{FEEDBACK}.json"
    schema = json.loads(file.read_text())
    schema["$defs"]["Verdict"]["properties"]["colour"] = {"type": "string"}
    file.write_text(json.dumps(schema))
    with pytest.raises(ConfigError, match=r"transactions\.feedback: colour is gone.*--breaking"):
        write(tmp_path, CARD, breaking=False)
    assert write(tmp_path, CARD, breaking=True) == [FEEDBACK]
    file.write_text("{")
    with pytest.raises(ConfigError, match=r"feedback\.json"):
        write(tmp_path, CARD, breaking=True)
