"""`tidegate tail`: any topic as lines of JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from cli.tail import print_topic
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.messages.frames import FrameLayout, Frames
from tidegate.pipeline import FEATURES, FEEDBACK, SCORED
from tidegate.profile import load_profile
from tidegate.stream.lines import Lines

CARD = load_profile("card")


def lines(
    broker: MemoryBroker, topic: str, capsys: pytest.CaptureFixture[str], newest: int = 0
) -> list[dict[str, Any]]:
    print_topic(broker, topic, newest, Lines(CARD))
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def block(layout: FrameLayout, *names: str, reasons: bytes = b"") -> bytes:
    rows = layout.empty(len(names))
    rows["values"][:, 0], rows["amount_minor"] = 1.5, 150
    ids = [name.encode() for name in names]
    count = len(ids)
    frames = Frames(rows, ids, [b"u1"] * count, [b'{"a":1}'] * count, [reasons] * count)
    return layout.pack(frames).block()


def test_each_transaction_of_a_block_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    broker, source = MemoryBroker({SCORED: 1}), TopicPartition(SCORED, 0)
    for names in (("a",), ("b", "c")):
        value = block(CARD.scored_layout, *names, reasons=b'[{"feature":"x"}]')
        broker.append_to(source, None, value, None, None)
    told = lines(broker, SCORED, capsys)
    places = [(one["offset"], one["index"], one["frame"]["id"]) for one in told]
    assert places == [(0, 0, "a"), (1, 0, "b"), (1, 1, "c")]
    frame = told[0]["frame"]
    assert (frame["decision"], frame["payload"], frame["account"]) == ("approve", {"a": 1}, "u1")
    assert frame["reasons"] == [{"feature": "x"}]
    assert frame["values"][CARD.values[0]] == 1.5
    assert [one["frame"]["id"] for one in lines(broker, SCORED, capsys, newest=1)] == ["b", "c"]


def test_what_is_json_stands_as_it_is_and_bytes_as_base64(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker = MemoryBroker({FEEDBACK: 1, FEATURES: 1})
    broker.append(FEEDBACK, b"k", b'{"verdict":"fraud"}', [("from", b"me")], None)
    broker.append(FEEDBACK, None, None, None, None)
    first, second = lines(broker, FEEDBACK, capsys)
    assert (first["key"], first["value"], first["headers"]) == (
        "k", {"verdict": "fraud"}, {"from": "me"},
    )  # fmt: skip
    assert "index" not in first
    assert (second["key"], second["value"]) == (None, None)
    broker.append(FEATURES, None, b"\xff no frame", None, None)
    broker.append(FEATURES, None, block(CARD.features_layout, "a"), None, None)
    garbage, frame = lines(broker, FEATURES, capsys)
    assert base64.b64decode(garbage["base64"]) == b"\xff no frame"
    assert (frame["frame"]["id"], frame["frame"]["profile"]) == ("a", CARD.hash.decode())
