"""What commands find reaches the topic operations; and the command that checks a file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from cli.reconcile import gap
from consumers.retraining.outcome import finding
from db.reconcile.ledger import Totals
from model.training.retrain import Outcome, RetrainingReport
from tests.notify.receivers import SECRET
from tidegate.broker.announce import announce
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.errors import ConfigError
from tidegate.messages.findings import Finding, decode_finding
from tidegate.pipeline import OPERATIONS

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy/notify/notify.example.yaml"
SECRETS = {
    "SOC_SECRET": SECRET,
    "MAIL_USER": "a-made-up-user",
    "MAIL_PASSWORD": "a-made-up-word",
    "PAGERDUTY_KEY": "0123456789abcdef0123456789abcdef",
    "PAGERDUTY_ROUTING": "fedcba9876543210fedcba9876543210",
}


def test_a_gap_is_told() -> None:
    totals = Totals()
    totals.counts[0, "2026-03-01", "missing"] = 3
    totals.counts[0, "2026-03-01", "row"] = 9_997
    broker = MemoryBroker({OPERATIONS: 1})
    announce(broker, gap(totals, "abcd"))
    reader = broker.consumer(None)
    reader.assign({TopicPartition(OPERATIONS, 0): 0})
    [batch] = reader.poll(10, 1.0)
    reader.close()
    found = decode_finding(batch.values[0] or b"")
    assert (found.what, found.profile, found.good) == ("reconciliation_gap", "abcd", False)
    assert found.told == "Reconciliation: 3 of 10,000 acknowledged records are missing"
    assert batch.keys == [b"reconciliation_gap"]


def test_what_cannot_be_told_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        announce(MemoryBroker({}), Finding("retrained", "abcd", 1, good=True, told="done"))
    assert "not told on the topic operations" in caplog.text


def report(outcome: Outcome) -> RetrainingReport:
    made = RetrainingReport("card", "rows", "b1", 5, outcome, "it is better", "b2")
    made.seconds = 2.0
    return made


def test_a_retrainings_outcome_is_told() -> None:
    found = finding(report("promoted"), "abcd")
    assert found.told == ("Retraining: card: b2 is the champion now, it was b1: it is better")
    assert (found.at_us, found.good) == (2_000_005, True)
    assert not finding(report("bad_data"), "abcd").good


def test_the_example_is_right_and_the_command_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    done = CliRunner().invoke(app, ["notify", "check", str(EXAMPLE)])
    assert done.exit_code == 0, done.output
    assert "channel soc" in done.output
    assert "alert -> soc" in done.output
    as_json = CliRunner().invoke(app, ["notify", "check", str(EXAMPLE), "--json"])
    for secret in SECRETS.values():
        assert secret not in done.output + as_json.output
    monkeypatch.delenv("SOC_SECRET")
    wrong = CliRunner().invoke(app, ["notify", "check", str(EXAMPLE)])
    assert isinstance(wrong.exception, ConfigError)
    assert "notify.example.yaml:11: channels.soc.secret: SOC_SECRET is not set" in str(
        wrong.exception
    )
