"""`tidegate profile check` and the history that a profile names."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from typer.testing import CliRunner, Result

from cli import app
from producers.simulator.history import simulate_history
from tidegate.errors import ConfigError
from tidegate.profile import load_profile


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a profile whose history is payments.csv; the working folder is another one."""
    card = load_profile("card").path.read_text()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    profile = card.replace("history: {simulate: 60000}", "history: {file: payments.csv}")
    (tmp_path / "mine/card.yaml").write_text(profile)
    return tmp_path / "mine"


def payments(path: Path) -> None:
    """200 simulated transactions, the first 50 of them without a verdict."""
    frame = simulate_history(load_profile("card"), 200)
    frame["label"] = frame["label"].astype(object)
    frame.loc[:49, "label"] = ""
    frame.to_csv(path, index=False)


def check(profile: str = "mine/card.yaml") -> Result:
    return CliRunner().invoke(app, ["profile", "check", profile])


def test_a_history_beside_the_profile_is_read(folder: Path) -> None:
    payments(folder / "payments.csv")
    found = check().output
    assert "mine/payments.csv: 200 rows read, 200 used, 2025-01-01 to " in found
    assert "150 legitimate, 50 without a verdict" in found


@pytest.mark.parametrize("named", ["parts", "parts/2*.csv", "memory://parts/all.csv"])
def test_a_history_may_be_a_folder_a_pattern_or_a_url(folder: Path, named: str) -> None:
    (folder / "parts").mkdir()
    payments(folder / "parts/2026.csv")
    fsspec.filesystem("memory").pipe("/parts/all.csv", (folder / "parts/2026.csv").read_bytes())
    profile = (folder / "card.yaml").read_text()
    (folder / "card.yaml").write_text(profile.replace("payments.csv", repr(named)))
    assert ": 200 rows read, 200 used, 2025-01-01 to " in check().output


def test_a_history_in_the_working_folder_is_read(folder: Path) -> None:
    payments(folder.parent / "payments.csv")
    assert "history    payments.csv: 200 rows read" in check().output


def test_a_history_without_a_column_is_told(folder: Path) -> None:
    (folder / "payments.csv").write_text("user_id,label\nu-1,1\n")
    error = check().exception
    assert isinstance(error, ConfigError)
    assert "amount" in str(error)
    assert "column" in str(error)


def test_a_history_that_is_not_there_is_told(folder: Path) -> None:
    assert folder.exists()
    assert "there is no file mine/payments.csv: a first training needs it" in check().output


def test_a_simulated_history_is_told() -> None:
    assert "history    60,000 simulated transactions" in check("card").output


def test_a_profile_without_a_history_says_what_a_training_needs(tmp_path: Path) -> None:
    found = check(changed(tmp_path, "card", "history: {simulate: 60000}", "history: {}")).output
    assert "history    none is named: a first training needs --history FILE" in found


def changed(folder: Path, profile: str, old: str, new: str) -> str:
    """A profile of this test's own."""
    text = load_profile(profile).path.read_text()
    assert old in text
    path = folder / "changed.yaml"
    path.write_text(text.replace(old, new))
    return str(path)


def test_a_history_that_nothing_simulates_is_told_with_the_field(tmp_path: Path) -> None:
    error = check(changed(tmp_path, "wallet", "balance_after", "left_over")).exception
    assert isinstance(error, ConfigError)
    assert "no simulator for these fields. That of wallet, the nearest, needs balance_after" in str(
        error
    )
    assert "name a file under history" in str(error)


def test_simulated_transactions_that_the_profile_refuses_are_told_with_the_field(
    tmp_path: Path,
) -> None:
    error = check(changed(tmp_path, "card", "max: 1000000}", "max: 5}")).exception
    assert isinstance(error, ConfigError)
    assert "field 'amount'" in str(error)
    assert "widen the field's `min` and `max`" in str(error)
