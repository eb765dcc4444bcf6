"""The words of `tidegate redrive`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from cli.redrive import lines
from db.audit import export
from db.migrate import migrate
from tests.profile.test_tokens import ID_TOKEN, NUMBER, changed, keyed
from tidegate.dead_letters.plan import Summary
from tidegate.profile import load_profile

__all__ = ["keyed"]


def test_each_outcome_is_a_sentence() -> None:
    summary = Summary({"transactions.raw": 12}, conflicts=3, before=4, reasons={"invalid_json": 12})
    shown = lines(summary, attempts=5)
    assert shown[0] == "      12  back to transactions.raw, of the stage that failed"
    assert "       3  left out: conflicting duplicates, which would fail again" in shown[1]
    assert shown[2:] == [
        "       4  dealt with by an earlier redrive",
        "their reasons: 12 invalid_json",
    ]


def test_nothing_to_put_back_and_a_dry_run_are_told() -> None:
    shown = lines(Summary(not_selected=2, dry_run=True), attempts=5)
    assert "nothing was written" in shown[0]
    assert shown[1:] == ["nothing to put back", "       2  passed over: the options ask for others"]


@pytest.mark.processes
@pytest.mark.usefixtures("keyed", "pipeline_topics")
def test_the_audit_is_told_the_token_of_a_personal_id(kafka: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    profile = changed(tmp_path, ID_TOKEN)
    where = ["--profile", str(profile.path), "--kafka", kafka]
    command = ["redrive", "--id", NUMBER, *where]
    done = CliRunner().invoke(app, command, env={"TIDEGATE_DB": url})
    assert done.exit_code == 0, done.output
    [entry] = export(url)
    assert (entry.what, entry.about) == ("dead letters redriven", profile.stored_id(NUMBER))


def test_ids_by_client_cannot_be_waited_for(tmp_path: Path) -> None:
    text = load_profile("card").path.read_text()
    path = tmp_path / "card.yaml"
    path.write_text(f"{text}\nids: per_client\n")
    rows = tmp_path / "rows.csv"
    rows.write_text("transaction_id,user_id\n")
    command = ["send", str(rows), "--profile", str(path)]
    done = CliRunner().invoke(app, command, env={"TIDEGATE_KEY": "tidegate_x"})
    assert "--no-wait" in str(done.exception or done.output)
