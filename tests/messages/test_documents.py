"""Heartbeats of processes of two versions, which run side by side while one replaces the other."""

from __future__ import annotations

import msgspec

from tidegate.messages.documents import encode
from tidegate.messages.heartbeats import Heartbeat, decode_heartbeat

BEFORE = [
    "process",
    "stage",
    "pid",
    "host",
    "partitions",
    "restored",
    "lag",
    "processed",
    "rejected",
    "restarts",
    "bundle",
    "models_offset",
    "metrics_port",
    "time_us",
    "stopping",
    "drift",
]
"""The fields of a heartbeat at the version before, whose reader refuses any other."""
BEAT = Heartbeat("p", "score", 1, "h", [0], True, 0, 0, 0, 0, "b", 1, 9000, 5)


def test_a_heartbeat_of_a_newer_version_is_read() -> None:
    newer = msgspec.json.decode(encode(BEAT)) | {"invented_later": {"a": 1}}
    assert decode_heartbeat(msgspec.json.encode(newer)) == BEAT


def test_the_version_before_reads_a_heartbeat_that_has_nothing_new_to_say() -> None:
    assert set(msgspec.json.decode(encode(BEAT))) <= set(BEFORE)


def test_a_heartbeat_of_the_version_before_is_read() -> None:
    older = msgspec.to_builtins(BEAT) | {"stopping": False, "drift": None}
    assert set(older) == set(BEFORE)
    assert decode_heartbeat(msgspec.json.encode(older)) == BEAT
