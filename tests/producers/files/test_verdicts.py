"""`feedback` through the real API and the label stage: posting alone is not success."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.feedback import lines
from consumers.label import LabelStage
from db.keys import create
from db.store import ScoredRow
from producers.files.verdicts import FollowVerdicts, Outcome, post_verdicts, wait_for_verdicts
from tests.producers.running_api import Api, serve
from tidegate.client import Client
from tidegate.clock import now_us
from tidegate.errors import Retry
from tidegate.messages.documents import Verdict, VerdictOutcome, encode
from tidegate.pipeline import OUTCOMES, OVER_QUOTA, group_of
from tidegate.profile import Profile, load_profile
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink


def rows(profile: Profile, *names: str) -> dict[str, ScoredRow]:
    """Rows of these transactions, the last one of another profile."""
    profiles = [profile.hash.decode()] * (len(names) - 1) + ["0" * 8]
    return {
        name: ScoredRow(name, of, 1, 100, [1], [0.5], 0.1, "approve", [None])
        for name, of in zip(names, profiles, strict=True)
    }


def verdicts(*names: str) -> list[Verdict]:
    return [Verdict(name, "fraud", f"file-{name}", "file") for name in names]


@pytest.fixture
def labelling(api: Api, profile: Profile) -> Iterator[None]:
    """The label stage on the API's broker; t-3 was processed by another profile."""
    known = rows(profile, "t-1", "t-2", "t-3")
    stage = LabelStage(
        profile, lambda ids: {name: known[name] for name in ids if name in known}, wait_s=0.1
    )
    consumer = api.broker.consumer(group_of("label"))
    sink = KafkaSink(
        api.broker, consumer, "label", instance="label", profile=profile.hash, clock=lambda: 1
    )
    runner = Runner(stage, api.broker, consumer, sink, snapshots=None)
    stop = threading.Event()
    thread = threading.Thread(target=runner.run, args=[stop])
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.usefixtures("labelling")
def test_each_verdict_is_joined_or_known_to_be_unknown(api: Api) -> None:
    posted = verdicts("t-1", "t-2", "t-3", "t-4")
    for _again in range(2):
        follow = FollowVerdicts(api.broker)
        follow.expect(post_verdicts(Client(api.url), posted, lambda _share, _what: None))
        outcome = wait_for_verdicts(
            follow, threading.Event(), lambda _share, _what: None, patience=20
        )
        follow.close()
        assert outcome == Outcome(2, ["t-4"], {"other_profile": 1})


def test_they_are_followed_by_the_ids_that_the_api_answers(
    profile: Profile, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(profile.path.read_text() + "\nids: per_client\n")
    with serve(load_profile(str(own)), tmp_path, auth="keys") as api:
        shown = create(api.database, "shop", ["review"], now_us(), None)[1]
        follow = FollowVerdicts(api.broker)
        posted = post_verdicts(
            Client(api.url, key=shown), verdicts("t-1"), lambda _share, _what: None
        )
        assert posted == {"shop:file-t-1": "t-1"}
        follow.expect(posted)
        told = VerdictOutcome("shop:file-t-1", "t-1", OVER_QUOTA, OVER_QUOTA, "", 0)
        api.broker.append(OUTCOMES, b"", encode(told), None, None)
        assert follow.poll(5)
        follow.close()


def test_verdicts_over_the_quota_are_counted_as_such(api: Api) -> None:
    follow = FollowVerdicts(api.broker)
    follow.expect({"file-t-1": "t-1"})
    told = VerdictOutcome("file-t-1", "t-1", OVER_QUOTA, OVER_QUOTA, "", 0)
    api.broker.append(OUTCOMES, b"file-t-1", encode(told), None, None)
    assert follow.poll(5)
    assert follow.outcome == Outcome(0, [], {"over_quota": 1})
    follow.close()


def test_without_a_label_stage_it_does_not_wait_for_ever(api: Api) -> None:
    posted = verdicts("t-1")
    follow = FollowVerdicts(api.broker)
    follow.expect(post_verdicts(Client(api.url), posted, lambda _share, _what: None))
    with pytest.raises(Retry, match="1 of 1 verdicts are posted, but neither joined"):
        wait_for_verdicts(follow, threading.Event(), lambda _share, _what: None, patience=0.2)


def test_the_unknown_are_named() -> None:
    known = {"t-1": True, "t-4": False}
    assert lines(known, Outcome(1, ["t-4"], {"other_profile": 2}))[1:] == [
        "1 joined with their rows",
        "1 of unknown transactions, no rows have these ids: t-4",
        "send the transactions first, then `tidegate redrive --reason unknown_transaction`",
        "2 refused: other_profile",
    ]
    assert "not waited for" in lines(known, None)[0]
