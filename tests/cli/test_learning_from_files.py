"""`tidegate train` and `tidegate backtest` with files as people have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from cli import app
from tests.model.history.payments import PROFILE, profile_in, rows, write
from tidegate.errors import ConfigError

pytestmark = pytest.mark.training


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TIDEGATE_PROFILE", str(profile_in(tmp_path).path))
    return tmp_path / "home"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def trained(*arguments: str) -> dict[str, Any]:
    result = run("train", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_training_says_what_it_learnt_from(tmp_path: Path) -> None:
    lines = rows(800)
    lines[100] = lines[100].replace(",20.25,", ",-20.25,")
    write(tmp_path, lines)
    said = run("train").stdout
    assert "history.csv: 800 rows read, 799 used, 2023-01-01 to 2023-02-03" in said
    assert "left out, out_of_bounds: row 101, field 'eur': a negative number; expected" in said
    history = trained()["history"]
    assert (history["read"], history["used"]) == (800, 799)
    assert history["refused"] == {"out_of_bounds": 1}
    assert (history["frauds"], history["legitimate"]) == (80, 719)


def test_a_history_that_is_refused_makes_no_bundle(tmp_path: Path, home: Path) -> None:
    write(tmp_path, [line.replace("2023-", "soon-") for line in rows(800)])
    found = run("train").exception
    assert isinstance(found, ConfigError)
    assert "800 of 800 rows are refused" in str(found)
    assert not list(home.glob("bundles/*"))
    wrong = run("train", "--max-refused", "much").exception
    assert isinstance(wrong, ConfigError)
    assert "--max-refused 'much': expected a share such as 5%" in str(wrong)


@pytest.mark.parametrize(("word", "other"), [("7995", "casino"), ("NA", "Namibia"), ("007", "x7")])
def test_a_word_trains_as_well_as_any_other(word: str, other: str, tmp_path: Path) -> None:
    """As a number, as nothing, and without its zeros it trained as any other word."""
    lines, found = rows(800), []
    for name in (word, other):
        profile_in(tmp_path, PROFILE.replace('"7995"', f'"{name}"'))
        place = write(tmp_path, [line.replace("7995", name) for line in lines])
        found.append(trained("--history", place)["metrics"])
    assert found[0] == found[1]
    assert found[0]["average_precision"] > 0.9


def test_scores_name_their_rows_by_the_texts_of_the_file(tmp_path: Path) -> None:
    place = write(tmp_path, [f"00{line[1:]}" for line in rows(800)])
    out = tmp_path / "scores.csv"
    assert run("backtest", "--data", place, "--split", "0.8", "--out", str(out)).exit_code == 0
    texts = pa_csv.ConvertOptions(column_types={"transaction_id": "string"})
    scores = pa_csv.read_csv(out, convert_options=texts)
    assert scores.column_names == ["fold", "transaction_id", "row", "score"]
    assert scores["transaction_id"].to_pylist() == [f"00{i}" for i in range(640, 800)]
    assert scores["row"].to_pylist() == list(range(641, 801))


def test_ids_that_are_numbers_for_the_profile_are_numbers_beside_scores(tmp_path: Path) -> None:
    profile_in(tmp_path, PROFILE.replace("ref: {type", "ref: {integers: true, type"))
    out = str(tmp_path / "scores.parquet")
    for start, kind in (("", "int64"), ("0", "large_string")):
        place = write(tmp_path, [f"{start}{line[1:]}" for line in rows(800)])
        assert run("backtest", "--data", place, "--split", "0.8", "--out", out).exit_code == 0
        assert str(pq.read_schema(out).field("transaction_id").type) == kind
