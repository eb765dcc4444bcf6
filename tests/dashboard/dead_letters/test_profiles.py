"""The workbench and the pipeline on every shipped profile, and without a database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.dead_letters.workbench import workbench_of
from tests.access.web import applications
from tests.support import eventually
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.pipeline import RAW
from tidegate.profile import load_profile
from tidegate.shipped import find
from tidegate.stream.dead_letters import dead_letters
from tidegate.stream.stage import Reject

PROFILES = sorted(path.stem for path in find(Path("profiles")).glob("*.yaml"))


def die(pages: Flask, profile: str, value: bytes) -> str:
    """A dead letter of the first step; the signature of its group once the page knows it."""
    bench = workbench_of(pages)
    assert isinstance(bench.broker, MemoryBroker)
    batch = Batch(TopicPartition(RAW, 0), [5], [b"k"], [value], [0], [None])
    hashed = load_profile(profile).hash
    emit = dead_letters("preprocess", hashed, batch, [Reject(0, "bad", "it is bad")], 0)
    bench.broker.producer().produce(
        emit.topic, emit.keys[0], emit.values[0], lambda _: None, (emit.headers or [None])[0]
    )
    found = eventually(lambda: bench.groups.now().groups(0))
    return found[0].signature


def ask(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.get_data(as_text=True)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_shipped_profile(tmp_path: Path, profile: str) -> None:
    with applications(tmp_path, profile=profile) as (_, pages):
        client = pages.test_client()
        assert "Nothing has died" in ask(client, "/dead-letters")
        signature = die(pages, profile, b'{"id": "x", "amount": "<i>"}')
        assert "it is bad" in ask(client, "/dead-letters")
        assert "Redrive 1 letter" in ask(client, f"/dead-letters/groups/{signature}")
        [address] = workbench_of(pages).groups.now().addresses(signature, 0, 2)
        letter = ask(client, f"/dead-letters/letters/{address.place}")
        assert "it is bad" in letter
        assert "<i>" not in letter
        shown = ask(client, "/pipeline")
        assert ("stage-preprocess-2" in shown) == (len(load_profile(profile).entities) > 1)
        assert ask(client, "/pipeline/now")


def test_without_a_database_the_pages_say_so(tmp_path: Path) -> None:
    with applications(tmp_path) as (_, pages):
        client = pages.test_client()
        signature = die(pages, "card", b"{}")
        ask(client, "/dead-letters")
        workbench_of(pages).resolutions.close()
        for file in tmp_path.glob("tidegate.db*"):
            file.unlink()
        (tmp_path / "tidegate.db").mkdir()
        for path in ("/dead-letters", f"/dead-letters/groups/{signature}"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert "away for a while" in answer.get_data(as_text=True)


@pytest.mark.processes
def test_a_copy_that_nobody_can_judge_now_is_not_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path))
    with applications(tmp_path) as (_, pages):
        client = pages.test_client()
        signature = die(pages, "card", b"{}")
        [address] = workbench_of(pages).groups.now().addresses(signature, 0, 2)
        letter = f"/dead-letters/letters/{address.place}"
        found = re.search(r'name="csrf_token" value="([^"]+)"', ask(client, letter))
        assert found
        answer = client.post(f"{letter}/edited", data={"csrf_token": found[1], "value": "{}"})
        assert "could not be asked" in answer.text
        assert "Redrive the mended copy" not in answer.text
        assert workbench_of(pages).jobs.newest is None
