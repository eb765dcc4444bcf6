"""`tidegate train --tune`: trials on the newest verdicts before the test slice."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from model.bundles.manifest import read_manifest
from model.detectors.trees.lightgbm import LightGBM
from tests.model.drafting.layouts import LAYOUTS
from tidegate.errors import ConfigError

pytestmark = pytest.mark.training


def train(*options: str) -> str:
    done = CliRunner().invoke(app, ["train", "--profile", "rows.yaml", *options])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def trials(folder: Path) -> list[str]:
    """The states of the trials of the one study."""
    (study,) = (folder / "var/tuning").iterdir()
    with closing(sqlite3.connect(study)) as database:
        return [state for (state,) in database.execute("select state from trials")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drafted profile of 2,500 rows, with few small trees."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path / "var"))
    Path("rows.csv").write_text(LAYOUTS["ulb"].text(2500), newline="")
    CliRunner().invoke(app, ["profile", "draft", "rows.csv"])
    trees("trees: 5, leaves: 3")
    return tmp_path


def trees(settings: str) -> None:
    text = Path("rows.yaml").read_text()
    lines = [line for line in text.splitlines() if "lightgbm" not in line]
    if settings:
        lines.insert(lines.index("models:") + 1, f"  lightgbm: {{{settings}}}")
    Path("rows.yaml").write_text("\n".join(lines) + "\n")


def test_three_trials_choose_what_the_manifest_keeps_and_go_on_later(folder: Path) -> None:
    output = train("--tune", "3")
    assert "  lightgbm: {trees: " in output
    (bundle,) = (folder / "var/bundles").iterdir()
    tuned = read_manifest(bundle).tuned
    assert isinstance(tuned, dict)
    assert set(tuned["lightgbm"]) == {"trees", "leaves", "rate", "columns"}
    train("--tune", "3")
    assert trials(folder) == ["COMPLETE"] * 3
    train("--tune", "4")
    assert trials(folder) == ["COMPLETE"] * 4


def test_what_a_trial_found_is_in_the_json_too(folder: Path) -> None:
    told = json.loads(train("--tune", "1", "--json"))
    assert told["tuned"]["settings"]["lightgbm"]["trees"] == 5
    assert told["tuned"]["before"] == told["tuned"]["best"]
    assert trials(folder) == ["COMPLETE"]


def test_trials_end_after_their_minutes(folder: Path) -> None:
    train("--tune", "1000", "--tune-minutes", "0.01")
    assert 1 <= len(trials(folder)) < 1000


def test_the_profiles_own_settings_are_tried_again_after_an_interruption(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LightGBM, "_trained", interrupted)
        train("--tune", "1")
    assert trials(folder) == ["FAIL"]
    assert "  lightgbm: {trees: 5, leaves: 3, rate: 0.05, columns: 1}" in train("--tune", "1")


def test_other_settings_of_the_profile_have_trials_of_their_own(folder: Path) -> None:
    train("--tune", "1")
    trees("trees: 6, leaves: 3, weight: 2")
    assert "trees: 6" in train("--tune", "1")
    assert len(list((folder / "var/tuning").iterdir())) == 2


def test_trials_that_cannot_be_read_are_told(folder: Path) -> None:
    train("--tune", "1")
    (study,) = (folder / "var/tuning").iterdir()
    study.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError, match=r"the trials in .*\.db cannot be read: remove the file"):
        train("--tune", "1")


def test_a_training_without_trials_says_nothing_of_them(folder: Path) -> None:
    assert "models:" not in train()
    (bundle,) = (folder / "var/bundles").iterdir()
    assert "tuned" not in (bundle / "manifest.json").read_text()


@pytest.mark.parametrize("wrong", [("--tune", "0"), ("--tune", "3", "--tune-minutes", "0")])
@pytest.mark.usefixtures("folder")
def test_no_trials_are_no_tuning(wrong: tuple[str, ...]) -> None:
    assert f"Invalid value for '{wrong[-2]}'" in train(*wrong)


@pytest.mark.usefixtures("folder")
def test_a_profile_without_trees_has_nothing_to_tune() -> None:
    trees("")
    with pytest.raises(ConfigError, match="serves none of the models that can be tuned"):
        train("--tune", "3")
