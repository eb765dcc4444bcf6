"""A promotion in two steps: living scorers load the bundle, then they switch."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from consumers.score import ScoreStage
from model.bundles.bundle import Bundle, save
from model.bundles.fetching import Fetching
from model.bundles.promotion import (
    Unanswered,
    Unloadable,
    current_champion,
    model_message,
    promote,
    set_canary,
    set_shadow,
)
from model.bundles.shared import SharedBundles
from tests.consumers.scoring import STATE, features_batch, scored
from tests.model.bundles.test_fetching import Hanging
from tests.trained import Trained
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.write import write
from tidegate.errors import Retry
from tidegate.messages.documents import (
    Champion,
    ModelMessage,
    Prepare,
    encode,
)
from tidegate.messages.heartbeats import Heartbeat, Prepared, decode_heartbeat
from tidegate.pipeline import MODELS, PROMOTIONS
from tidegate.stream.side_topic import read_partition
from tidegate.stream.sources import Sources

SECONDS = 0.3
"""How long a scorer that never answers is waited for here."""


@pytest.fixture(scope="module")
def other(trained: Trained) -> Bundle:
    """A second bundle of the same profile, in the same folder: other thresholds."""
    first = trained.bundle
    lower = {name: value / 2 for name, value in first.manifest.thresholds.items()}
    manifest = msgspec.structs.replace(first.manifest, thresholds=lower)
    return save(first.path.parent, manifest, first.detectors, first.ensemble)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker({MODELS: 1, PROMOTIONS: 1})


class Scorer:
    """A scorer with a bundle folder of its own; asked for its heartbeat, it first reads on."""

    def __init__(
        self, broker: MemoryBroker, trained: Trained, folder: Path, name: str, url: str = ""
    ) -> None:
        self._broker, self._name = broker, name
        shared = SharedBundles(url, folder) if url else None
        self.stage = ScoreStage(trained.profile, folder, shared=shared)

    def __call__(self) -> Heartbeat:
        self.read_on()
        bundle = self.stage.bundle.hash if self.stage.bundle else ""
        beat = Heartbeat(
            self._name, "score", 1, "h", [0], True, 0, 0, 0, 0, bundle,
            self.stage.models_offset, 9000, 5, prepared=self.stage.prepared,
        )  # fmt: skip
        return decode_heartbeat(encode(beat))

    def read_on(self) -> None:
        for batch in read_partition(self._broker, MODELS, self.stage.models_offset):
            self.stage.absorb(STATE, batch)


def living(*scorers: Callable[[], Heartbeat]) -> Callable[[], list[Heartbeat]]:
    return lambda: [scorer() for scorer in scorers]


def names(broker: MemoryBroker) -> list[tuple[str, str]]:
    """What is on the topic models: the kind of each message, and its bundle."""
    values = [value for batch in read_partition(broker, MODELS, 0) for value in batch.values]
    messages: list[ModelMessage] = [found for value in values if (found := model_message(value))]
    return [(type(message).__name__, message.bundle) for message in messages]


def decided_by(trained: Trained, scorer: Scorer) -> str:
    scorer.read_on()
    rows = scored(trained, scorer.stage.process(Sources(), features_batch(trained, slice(5)))).rows
    (bundle,) = set(rows["bundle"].tolist())
    return str(bundle.decode())


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


def test_a_scorer_fetches_a_bundle_that_is_to_be_promoted(
    trained: Trained, other: Bundle, broker: MemoryBroker, tmp_path: Path
) -> None:
    """And one that is damaged under the URL is not promoted."""
    first, profile = trained.bundle, trained.profile.hash.decode()
    url = f"file://{tmp_path / 'url'}"
    trainer = SharedBundles(url, first.path.parent)
    for bundle in (first, other):
        trainer.publish(bundle.hash)
    promote(broker, first.hash, profile, by="test")
    scorer = Scorer(broker, trained, tmp_path / "copies", "score-0", url)
    assert decided_by(trained, scorer) == first.hash
    manifest = tmp_path / "url" / other.hash / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-1] + b" ")
    with pytest.raises(Unloadable, match=r"score-0 cannot load it.*not the folder's name"):
        promote(broker, other.hash, profile, by="test", scorers=living(scorer))
    manifest.write_bytes(whole)
    promote(broker, other.hash, profile, by="test", scorers=living(scorer))
    assert decided_by(trained, scorer) == other.hash
    shutil.rmtree(tmp_path / "url")  # what has been copied needs it no more
    again = Scorer(broker, trained, tmp_path / "copies", "score-1", url)
    assert decided_by(trained, again) == other.hash


@pytest.mark.parametrize("error", [OSError("no endpoint"), OSError(28, "No space left on device")])
def test_a_shadow_and_a_canary_that_could_not_be_fetched_come_later(
    trained: Trained,
    other: Bundle,
    broker: MemoryBroker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
) -> None:
    first, profile = trained.bundle, trained.profile.hash.decode()
    url = f"file://{tmp_path / 'url'}"
    SharedBundles(url, first.path.parent).publish(other.hash)
    shutil.copytree(first.path, tmp_path / "copies" / first.hash)
    promote(broker, first.hash, profile, by="test")
    set_shadow(broker, other.hash, profile, by="test")
    set_canary(broker, other.hash, profile, 1.0, by="test")
    scorer = Scorer(broker, trained, tmp_path / "copies", "score-0", url)
    serving = scorer.stage.serving

    def full(_path: Path, _content: bytes) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("model.bundles.folder._write", full)
        assert decided_by(trained, scorer) == first.hash
        assert (serving.shadow, serving.canary) == (None, None)
    monkeypatch.setattr(serving, "_retry_at", 0.0)
    assert decided_by(trained, scorer) == other.hash, "the canary decides for all"
    assert serving.shadow is not None
    assert serving.shadow.hash == other.hash


def test_a_scorer_goes_on_while_a_bundle_is_fetched_and_is_waited_for(
    trained: Trained,
    other: Bundle,
    broker: MemoryBroker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, profile = trained.bundle, trained.profile.hash.decode()
    url, copies = f"file://{tmp_path / 'url'}", tmp_path / "copies"
    SharedBundles(url, first.path.parent).publish(other.hash)
    shutil.copytree(first.path, copies / first.hash)
    promote(broker, first.hash, profile, by="test")
    scorer = Scorer(broker, trained, copies, "score-0", url)
    source = Hanging(url, copies)
    scorer.stage.serving._fetching = Fetching(source, wait=0.0)
    seen: list[Prepared | None] = []
    told_meanwhile: list[Prepared | None] = []
    load = scorer.stage.serving._load

    def loading(name: str) -> Bundle:
        told_meanwhile.append(scorer.stage.prepared)
        return load(name)

    monkeypatch.setattr(scorer.stage.serving, "_load", loading)

    def watched() -> list[Heartbeat]:
        beat = scorer()
        seen.append(beat.prepared)
        assert decided_by(trained, scorer) == first.hash, "it scores meanwhile"
        if len(seen) == 3:
            source.may.set()
        return [beat]

    promote(broker, other.hash, profile, by="test", scorers=watched)
    assert [prepared is not None and prepared.loading for prepared in seen[:3]] == [True] * 3
    assert seen[-1] is not None
    assert (seen[-1].loading, seen[-1].fault) == (False, "")
    assert told_meanwhile[:2] == [None, None], "the champion, and the first try"
    assert None not in told_meanwhile[2:], "silence would count as consent"
    assert decided_by(trained, scorer) == other.hash
