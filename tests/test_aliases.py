"""The stream detector's environment variables stand for settings, under its profile alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tidegate.aliases import ALIASES, schedule
from tidegate.errors import ConfigError
from tidegate.settings import Settings

THEIRS = {
    "KAFKA_BROKERS": "broker:9092",
    "MODEL_PATH": "/app/models",
    "MODEL_TYPE": "isolation_forest",
    "THRESHOLD": "0.1",
    "RETRAIN_INTERVAL": "3600",
    "PROMETHEUS_PORT": "9091",
    "LOG_LEVEL": "INFO",
}


@pytest.fixture(autouse=True)
def theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Their variables, and no `.env`."""
    monkeypatch.chdir(tmp_path)
    assert set(THEIRS) == set(ALIASES)
    for name, value in THEIRS.items():
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(f"TIDEGATE_{ALIASES[name].upper()}", raising=False)
    monkeypatch.delenv("TIDEGATE_PROFILE", raising=False)


def test_they_stand_for_settings() -> None:
    made = Settings(profile="some/vector.yaml")
    assert (made.kafka, made.bundles, made.detect_model) == (
        "broker:9092",
        "/app/models",
        "isolation_forest",
    )
    assert (made.detect_threshold, made.metrics_port, made.log_level) == (0.1, 9091, "info")
    assert (made.retrain, made.retrain_cron) == (True, "0 */1 * * *")


def test_another_profile_knows_none_of_them() -> None:
    assert Settings(profile="card") == Settings.model_construct(profile="card")


def test_a_setting_by_its_own_name_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEGATE_PROFILE", "vector")
    monkeypatch.setenv("TIDEGATE_KAFKA", "mine:9092")
    (tmp_path / ".env").write_text("TIDEGATE_DETECT_THRESHOLD=0.7\n")
    made = Settings()
    assert (made.kafka, made.detect_threshold) == ("mine:9092", 0.7)


def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHOLD", "2")
    with pytest.raises(ValidationError, match="detect_threshold"):
        Settings(profile="vector")


@pytest.mark.parametrize(
    ("seconds", "cron"),
    [("86400", "0 0 * * *"), ("21600", "0 */6 * * *"), ("900", "*/15 * * * *")],
)
def test_an_interval_becomes_a_schedule(seconds: str, cron: str) -> None:
    assert schedule(seconds) == cron


@pytest.mark.parametrize("seconds", ["", "soon", "0", "61", "5000", "90000", "-60"])
def test_an_interval_that_no_schedule_has_is_refused(seconds: str) -> None:
    with pytest.raises(ConfigError, match="RETRAIN_INTERVAL"):
        schedule(seconds)
