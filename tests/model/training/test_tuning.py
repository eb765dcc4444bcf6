"""`tidegate train --tune`: trials on the newest verdicts before the test slice."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from model.bundles.manifest import read_manifest
from tests.model.drafting.layouts import LAYOUTS
from tidegate.errors import ConfigError

pytestmark = pytest.mark.training


def train(*options: str) -> str:
    done = CliRunner().invoke(app, ["train", "--profile", "rows.yaml", *options])
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drafted profile of 4,000 rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path / "var"))
    Path("rows.csv").write_text(LAYOUTS["ulb"].text(4000), newline="")
    CliRunner().invoke(app, ["profile", "draft", "rows.csv"])
    return tmp_path


def test_three_trials_choose_what_the_manifest_keeps_and_go_on_later(folder: Path) -> None:
    output = train("--tune", "3")
    assert "  lightgbm: {trees: " in output
    bundles = list((folder / "var/bundles").iterdir())
    tuned = read_manifest(bundles[0]).tuned
    assert isinstance(tuned, dict)
    assert set(tuned["lightgbm"]) == {"trees", "leaves", "rate", "columns"}
    (study,) = (folder / "var/tuning").iterdir()
    trials = study.read_text().count('"op_code":4')
    train("--tune", "3")
    assert study.read_text().count('"op_code":4') == trials == 3


def test_a_training_without_trials_says_nothing_of_them(folder: Path) -> None:
    assert "models:" not in train()
    (bundle,) = (folder / "var/bundles").iterdir()
    assert "tuned" not in (bundle / "manifest.json").read_text()


@pytest.mark.usefixtures("folder")
def test_a_profile_without_trees_has_nothing_to_tune() -> None:
    text = Path("rows.yaml").read_text()
    cut = "\n".join(line for line in text.splitlines() if "lightgbm" not in line)
    Path("rows.yaml").write_text(cut + "\n")
    with pytest.raises(ConfigError, match="serves none of the models that can be tuned"):
        train("--tune", "3")
