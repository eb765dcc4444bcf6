"""`tidegate profile draft`: from a file to a profile that is checked, trained and judged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import app
from producers.simulator.history import simulate_history
from tests.model.drafting.exports import EXPORTS
from tests.model.drafting.layouts import LAYOUTS
from tidegate.errors import ConfigError
from tidegate.profile import load_profile

ALL = LAYOUTS | EXPORTS


@pytest.fixture
def payments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """payments.csv in the working folder."""
    monkeypatch.chdir(tmp_path)
    simulate_history(load_profile("card"), 12_000, 3).to_csv("payments.csv", index=False)


def tidegate(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.usefixtures("payments")
def test_each_choice_is_printed_with_its_evidence() -> None:
    output = tidegate("profile", "draft", "payments.csv").output
    assert "id:            transaction_id: 12,000 rows, no value twice" in output
    assert "account:       user_id: " in output
    assert "verdict:       label: " in output
    assert "payments.yaml is written" in output


@pytest.mark.usefixtures("payments")
def test_a_draft_is_checked_and_judged() -> None:
    assert tidegate("profile", "draft", "payments.csv").exit_code == 0
    checked = tidegate("profile", "check", "payments.yaml")
    assert "payments.csv: 12,000 rows read, 12,000 used" in checked.output
    profile = load_profile("payments.yaml")
    assert profile.entities == ("user_id", "merchant")
    assert {"user_count_1d", "merchant_fraud_rate_7d", "user_merchants_1h"} <= {*profile.computed}


@pytest.mark.parametrize("name", ALL)
def test_every_draft_passes_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(ALL[name].text(1500), newline="")
    tidegate("profile", "draft", "rows.csv")
    done = tidegate("profile", "check", "rows.yaml")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "rows.csv: 1,500 rows read, 1,500 used" in done.output


@pytest.mark.training
@pytest.mark.parametrize("name", ["ibm_aml", "tabformer", "ulb", "charges", "flagged"])
def test_a_draft_scores_what_comes_after_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(ALL[name].text(4000), newline="")
    tidegate("profile", "draft", "rows.csv")
    done = tidegate("backtest", "--profile", "rows.yaml", "--data", "rows.csv", "--split", "0.8")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "average_precision" in done.output


def test_an_encoding_that_is_named_stands_in_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"t{n},2026-01-{n % 28 + 1:02},{n}.50\n" for n in range(200))
    Path("rows.csv").write_bytes(("Zażółć id,date,amount\n" + rows).encode("windows-1250"))
    tidegate("profile", "draft", "rows.csv", "--encoding", "windows-1250")
    profile = load_profile("rows.yaml")
    assert profile.file.encoding == "windows-1250"
    assert profile.fields[profile.id_field].column == "Zażółć id"


def test_a_backtest_without_verdicts_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(ALL["uk_bank"].text(400), newline="")
    tidegate("profile", "draft", "rows.csv")
    error = tidegate("backtest", "--profile", "rows.yaml", "--data", "rows.csv", "--split", "0.8")
    assert isinstance(error.exception, ConfigError)
    assert "rows.csv holds no verdicts to judge scores by" in str(error.exception)


@pytest.mark.usefixtures("payments")
def test_a_profile_is_never_overwritten() -> None:
    Path("payments.yaml").write_text("mine")
    error = tidegate("profile", "draft", "payments.csv").exception
    assert isinstance(error, ConfigError)
    assert "payments.yaml is there already" in str(error)
    assert Path("payments.yaml").read_text() == "mine"


@pytest.mark.usefixtures("payments")
def test_a_named_column_of_verdicts_goes_before_what_is_found() -> None:
    tidegate("profile", "draft", "payments.csv", "--label", "is_online")
    assert load_profile("payments.yaml").history.label == "is_online"
    error = tidegate("profile", "draft", "payments.csv", "--out", "x.yaml", "--label", "no")
    assert isinstance(error.exception, ConfigError)
    assert "--label no: the file has " in str(error.exception)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", "", "empty.csv"),
        ("header.csv", "id,amount\n", "header.csv has no rows"),
        ("lines.jsonl", "1\n2\n", "holds no JSON objects"),
        ("changes.jsonl", '{"before":null,"after":{"id":1},"op":"c"}\n', "`envelope: debezium`"),
        ("connect.jsonl", '{"schema":null,"payload":{"id":1}}\n', "`envelope: connect`"),
    ],
)
def test_a_file_without_rows_to_look_at_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(content)
    error = tidegate("profile", "draft", name).exception
    assert isinstance(error, ConfigError)
    assert said in str(error)
    assert not list(tmp_path.glob("*.yaml"))


@pytest.mark.processes
def test_a_terminal_is_asked_what_is_unsure(tmp_path: Path) -> None:
    (tmp_path / "bank.csv").write_text(LAYOUTS["banksim"].text(400), newline="")
    typed, terminal = os.openpty()
    asked = subprocess.Popen(
        [sys.executable, "-m", "cli", "profile", "draft", "bank.csv"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(typed, b"nonsense\ndays\n" + b"\n" * 5)
    output, errors = asked.communicate(timeout=60)
    os.close(typed)
    os.close(terminal)
    assert asked.returncode == 0, errors
    assert "will not do" in errors
    assert "What do its numbers count (s, min, hours, days)? [hours]: " in output
    assert load_profile(tmp_path / "bank.yaml").fields["step"].unit == "days"  # type: ignore[attr-defined] # a time
