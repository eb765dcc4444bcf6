"""When `tidegate models promote` says that a promotion is complete, and what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cli import app
from cli.models import _behind
from cli.running.steps import promote_first
from model.bundles.promotion import Promoted, promote, set_canary, set_shadow
from tidegate.broker.kafka import KafkaBroker
from tidegate.errors import ConfigError
from tidegate.messages.documents import Champion
from tidegate.messages.heartbeats import Heartbeat
from tidegate.profile import load_profile
from tidegate.settings import Settings

PROMOTED = Promoted(Champion("newer", "profile", 1), 7)
USES = Heartbeat("score-1", "score", 1, "h", [0], True, 0, 0, 0, 0, "newer", 8, 9000, 5)
LATE = msgspec.structs.replace(USES, process="score-2", bundle="older", models_offset=7)
REFUSES = msgspec.structs.replace(LATE, models_offset=8, refused="newer: it is damaged")


def test_a_scorer_that_has_not_read_the_promotion_is_waited_for() -> None:
    earlier = msgspec.structs.replace(LATE, refused="another: it is not there")
    assert _behind([USES, LATE], PROMOTED) == ["score-2"]
    assert _behind([USES, earlier], PROMOTED) == ["score-2"]
    assert _behind([USES], PROMOTED) == []


def test_a_scorer_that_refuses_the_champion_is_named_with_its_reason() -> None:
    with pytest.raises(ConfigError, match="score-2 refuses newer: it is damaged"):
        _behind([USES, REFUSES], PROMOTED)


@pytest.mark.processes
def test_the_history_has_every_promotion_in_order(pipeline_topics: KafkaBroker, kafka: str) -> None:
    """Of a profile whose champion no other test on this Kafka asks for."""
    first, second, profile = "1" * 16, "2" * 16, load_profile("wallet").hash.decode()
    for bundle in (first, second, first):
        promote(pipeline_topics, bundle, profile, by="ann")
    set_shadow(pipeline_topics, second, profile, by="bob")
    set_canary(pipeline_topics, second, profile, 0.2, by="bob")
    set_canary(pipeline_topics, "", profile, 0.0, by="bob")
    command = ["models", "history", "--profile", "wallet", "--kafka", kafka]
    lines = CliRunner().invoke(app, command).stdout.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        f"champion  {first} by ann",
        f"champion  {second} by ann, after {first}",
        f"champion  {first} by ann, after {second}",
        f"shadow    {second} by bob",
        f"canary    {second} by bob, for 20.0% of the accounts",
        "canary    none             by bob",
    ]
    rows = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert [row["bundle"] for row in rows] == [first, second, first, second, second, ""]
    assert (rows[1]["previous"], rows[4]["share"]) == (first, 0.2)
    assert [row["at"] for row in rows] == [line.split("  ", 1)[0] for line in lines]


def test_the_first_promotion_logs_that_the_audit_does_not_know_of_it(
    pipeline_topics: KafkaBroker, kafka: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile, bundle = load_profile("sffsd"), "3" * 16
    promote(pipeline_topics, bundle, profile.version.decode(), by="the version before")
    without_tables = f"sqlite:///{tmp_path}/none.db"
    promote_first(Settings(home=tmp_path, kafka=kafka, db=without_tables), profile)
    assert "there is no audit yet: `tidegate setup` makes its table" in caplog.text
