"""What a retraining does when its challenger is better, but a scorer cannot load it."""

from __future__ import annotations

from pathlib import Path

from consumers.retraining.attempt import _promote
from consumers.retraining.outcome import headline
from model.bundles.promotion import current_champion, promote
from model.training.retrain import RetrainingReport
from tests.web import heartbeats
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.heartbeats import Prepared
from tidegate.pipeline import MODELS, PROMOTIONS, STATUS
from tidegate.profile import load_profile
from tidegate.settings import Settings

FIRST, SECOND = "1" * 16, "2" * 16


def test_the_champion_stays_and_the_report_says_why(tmp_path: Path) -> None:
    profile, broker = load_profile("card"), MemoryBroker({MODELS: 1, PROMOTIONS: 1, STATUS: 1})
    name = profile.hash.decode()
    promote(broker, FIRST, name, by="test")
    report = RetrainingReport(f"card {name}", "rows", FIRST, 1, outcome="promoted")
    report.challenger = SECOND
    lacks = Prepared(SECOND, 1, "it is not there")
    heartbeats(broker, {"score": 1}, models_offset=2, prepared=lacks)
    _promote(Settings(home=tmp_path), broker, profile, report)
    assert report.outcome == "kept"
    assert "score-1 cannot load it: it is not there" in headline(report)
    current = current_champion(broker, name)
    assert current is not None
    assert current.champion.bundle == FIRST


def test_it_is_promoted_when_all_scorers_have_loaded_it(tmp_path: Path) -> None:
    profile, broker = load_profile("card"), MemoryBroker({MODELS: 1, PROMOTIONS: 1, STATUS: 1})
    name = profile.hash.decode()
    promote(broker, FIRST, name, by="test")
    report = RetrainingReport(f"card {name}", "rows", FIRST, 1, outcome="promoted")
    report.challenger = SECOND
    heartbeats(broker, {"score": 1}, models_offset=2, prepared=Prepared(SECOND, 1))
    _promote(Settings(home=tmp_path), broker, profile, report)
    current = current_champion(broker, name)
    assert current is not None
    assert (report.outcome, current.champion.bundle) == ("promoted", SECOND)
