"""A promotion in two steps: living scorers load the bundle, then they switch."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec
import pytest

from model.bundles.bundle import Bundle
from model.bundles.promotion import Unanswered, Unloadable, current_champion, promote, set_shadow
from tests.consumers.scorers import SECONDS, Scorer, decided_by, living, names
from tests.consumers.scorers import broker as broker
from tests.consumers.scorers import other as other
from tests.trained import Trained
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.write import write
from tidegate.errors import Retry
from tidegate.messages.documents import Champion, Prepare, encode
from tidegate.messages.heartbeats import Heartbeat
from tidegate.pipeline import MODELS


def test_all_scorers_have_loaded_a_bundle_before_any_switches(
    trained: Trained, other: Bundle, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, profile = trained.bundle.path.parent, trained.profile.hash.decode()
    promote(broker, trained.bundle.hash, profile, by="test")
    scorers = [Scorer(broker, trained, folder, f"score-{i}") for i in range(2)]
    seen: list[list[str]] = []

    def watched() -> list[Heartbeat]:
        beats = living(*scorers)()
        seen.append([beat.bundle for beat in beats])
        return beats

    promoted = promote(broker, other.hash, profile, by="test", scorers=watched)
    assert promoted.champion.previous == trained.bundle.hash
    assert seen == [[trained.bundle.hash] * 2], "nobody switches while it is loaded"
    assert names(broker) == [
        ("Champion", trained.bundle.hash),
        ("Prepare", other.hash),
        ("Champion", other.hash),
    ]
    monkeypatch.setattr(Bundle, "load", _never)  # the switch itself reads nothing
    assert [decided_by(trained, scorer) for scorer in scorers] == [other.hash] * 2
    assert [scorer().prepared for scorer in scorers] == [None] * 2, "it is decided"


def _never(_path: Path) -> Bundle:
    raise AssertionError("a bundle was read")


def test_one_scorer_that_cannot_load_it_keeps_the_champion_for_all(
    trained: Trained, other: Bundle, broker: MemoryBroker, tmp_path: Path
) -> None:
    first, profile = trained.bundle, trained.profile.hash.decode()
    shutil.copytree(first.path, tmp_path / first.hash)
    promote(broker, first.hash, profile, by="test")
    whole = Scorer(broker, trained, first.path.parent, "score-whole")
    lacking = Scorer(broker, trained, tmp_path, "score-lacking")
    with pytest.raises(Unloadable, match=r"champion stays: score-lacking cannot load it: bundle"):
        promote(broker, other.hash, profile, by="test", scorers=living(whole, lacking))
    current = current_champion(broker, profile)
    assert current is not None
    assert current.champion.bundle == first.hash
    assert names(broker)[-1] == ("Prepare", ""), "nobody goes on holding it"
    for scorer in (whole, lacking):
        assert decided_by(trained, scorer) == first.hash
        assert scorer.stage.refused == ""
    shutil.copytree(other.path, tmp_path / other.hash)
    promote(broker, other.hash, profile, by="test", scorers=living(whole, lacking))
    assert [decided_by(trained, one) for one in (whole, lacking)] == [other.hash] * 2


def test_a_scorer_that_does_not_answer_is_named(
    trained: Trained, other: Bundle, broker: MemoryBroker
) -> None:
    profile = trained.profile.hash.decode()
    promote(broker, trained.bundle.hash, profile, by="test")
    scorer = Scorer(broker, trained, trained.bundle.path.parent, "score-0")
    hung = msgspec.structs.replace(scorer(), process="score-hung")
    with pytest.raises(Unanswered, match=r"score-hung did not load it within 0\.3 s"):
        promote(
            broker, other.hash, profile, by="test", timeout=SECONDS,
            scorers=living(scorer, lambda: hung),
        )  # fmt: skip
    assert decided_by(trained, scorer) == trained.bundle.hash


def test_scorers_of_another_profile_or_of_the_version_before_are_not_waited_for(
    trained: Trained, other: Bundle, broker: MemoryBroker
) -> None:
    """They have read the order, by their offset, and say nothing of it."""
    profile = trained.profile.hash.decode()
    promote(broker, trained.bundle.hash, profile, by="test")
    scorer = Scorer(broker, trained, trained.bundle.path.parent, "score-0")

    def before() -> Heartbeat:
        return msgspec.structs.replace(scorer(), process="score-before", prepared=None)

    promote(broker, other.hash, profile, by="test", scorers=living(scorer, before))
    assert decided_by(trained, scorer) == other.hash


def test_of_two_promotions_at_once_the_first_gives_way(
    trained: Trained, other: Bundle, broker: MemoryBroker
) -> None:
    first, profile = trained.bundle, trained.profile.hash.decode()
    scorer = Scorer(broker, trained, first.path.parent, "score-0")
    second = encode(Prepare(first.hash, profile, 1, "second"))

    def meanwhile() -> list[Heartbeat]:
        write(broker, MODELS, b"prepare", second, what="the second order")
        return [scorer()]

    with pytest.raises(Retry, match="another promotion began"):
        promote(broker, other.hash, profile, by="first", scorers=meanwhile)
    assert names(broker)[-1] == ("Prepare", first.hash), "it does not withdraw the other's order"


def test_a_whole_promotion_meanwhile_is_not_overwritten(
    trained: Trained, other: Bundle, broker: MemoryBroker
) -> None:
    first, profile = trained.bundle, trained.profile.hash.decode()
    scorer = Scorer(broker, trained, first.path.parent, "score-0")

    def meanwhile() -> list[Heartbeat]:
        promote(broker, first.hash, profile, by="second", scorers=living(scorer))
        return [scorer()]

    with pytest.raises(Unanswered, match="another bundle was promoted meanwhile"):
        promote(broker, other.hash, profile, by="first", scorers=meanwhile)
    assert decided_by(trained, scorer) == first.hash


def test_a_promotion_right_after_the_scorers_have_loaded_is_not_overwritten(
    trained: Trained, other: Bundle, broker: MemoryBroker
) -> None:
    first, profile = trained.bundle, trained.profile.hash.decode()
    scorer = Scorer(broker, trained, first.path.parent, "score-0")

    def meanwhile() -> list[Heartbeat]:
        beat = scorer()
        promote(broker, first.hash, profile, by="second")
        return [beat]

    with pytest.raises(Unanswered, match="another bundle was promoted meanwhile"):
        promote(broker, other.hash, profile, by="first", scorers=meanwhile)
    assert decided_by(trained, scorer) == first.hash


def test_a_scorer_that_starts_answers_the_order_that_waits(
    trained: Trained, other: Bundle, broker: MemoryBroker
) -> None:
    """And does not load what has been decided since."""
    profile = trained.profile.hash.decode()
    promote(broker, trained.bundle.hash, profile, by="test")
    producer = broker.producer()
    order = Prepare(other.hash, profile, time.time_ns() // 1000)
    producer.produce(MODELS, b"prepare", encode(order), lambda _fault: None)
    producer.flush(1.0)
    set_shadow(broker, "", profile, by="test")
    started = Scorer(broker, trained, trained.bundle.path.parent, "score-0")
    prepared = started().prepared
    assert prepared is not None
    assert (prepared.bundle, prepared.offset, prepared.fault) == (other.hash, 1, "")
    decided = encode(Champion(trained.bundle.hash, profile, order.asked_us + 1))
    producer.produce(MODELS, b"champion", decided, lambda _fault: None)
    producer.flush(1.0)
    assert Scorer(broker, trained, trained.bundle.path.parent, "score-1")().prepared is None
