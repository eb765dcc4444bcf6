"""A bundle that is to be promoted and lies at a URL: fetched, away, or slow to come."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model.bundles.bundle import Bundle
from model.bundles.fetching import Fetching
from model.bundles.promotion import Unloadable, promote, set_canary, set_shadow
from model.bundles.shared import SharedBundles
from tests.consumers.scorers import Scorer, decided_by, living
from tests.consumers.scorers import broker as broker
from tests.consumers.scorers import other as other
from tests.model.bundles.test_fetching import Hanging
from tests.trained import Trained
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.heartbeats import Heartbeat, Prepared


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
