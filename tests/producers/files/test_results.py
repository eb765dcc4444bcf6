"""What became of each row of a file, as files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow.parquet as pa_parquet
import pytest

from model.bundles.past_policies import Policies
from model.bundles.policies import publish_policy
from model.files.reader import Reader
from producers.files.decided import Decided, RiskLevels, decided
from producers.files.results import refused_rows, write_results
from tests.producers.running_api import TOPICS
from tests.trained import Trained
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.policy import Policy
from tidegate.profile import Profile, load_profile

HEAD = "transaction_id,user_id,amount,merchant,timestamp,merchant_type,device_type,location_match"
ROW = "{},u-1,{},{},2026-01-01T12:00:00Z,grocery,pos,true"
BEGAN = 1_000
STRICT = Policy(thresholds={"review": 0.2, "block": 0.8})


@pytest.fixture
def profile() -> Profile:
    return load_profile("card")


@pytest.fixture
def policies(profile: Profile) -> Policies:
    """One was in force that reviews from 0.2 on."""
    broker = MemoryBroker(TOPICS)
    publish_policy(broker, profile, STRICT, by="ann")
    return Policies(broker, profile)


def a_row(decision: str, score: float, ingested_us: int) -> Decided:
    return Decided(decision, score, ("amount_log", "burst"), "high", ingested_us)


def written(profile: Profile, folder: Path, lines: Sequence[str], head: str = HEAD) -> Reader:
    path = folder / "in.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return Reader(str(path), profile)


def test_each_row_is_accounted_for(profile: Profile, tmp_path: Path) -> None:
    lines = [ROW.format(name, "12.5", "Shop") for name in "abcd"]
    reader = written(profile, tmp_path, lines)
    rows = {"a": a_row("review", 0.6, BEGAN), "b": a_row("approve", 0.1, BEGAN - 1)}
    summary = write_results(reader, tmp_path, {3: "amount: bad"}, lambda _: rows, BEGAN)
    assert summary.rows == 4
    assert summary.outcomes == {"scored": 1, "known": 1, "rejected": 1, "not decided": 1}
    assert summary.decisions == {"review": 1, "approve": 1}
    assert sum(map(sum, summary.histogram.values())) == 2
    assert summary.histogram["review"][30] == 1
    assert summary.reasons == [("amount_log", 2), ("burst", 2)]
    assert summary.problems == {"amount: bad": 1}
    assert [one["id"] for one in summary.first] == ["a", "b"]
    table = pa_parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert [row["outcome"] for row in table] == ["scored", "known", "rejected", "not decided"]
    assert table[0]["reasons"] == "amount_log, burst"
    assert table[2]["problem"] == "amount: bad"
    assert table[3]["score"] is None


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("=1+1", False),
        ("@SUM(A1)", False),
        ("+cmd", False),
        ("-2+3", False),
        ("\t=1", False),
        (" =1", False),
        ("-12.5", True),
        ("+49", True),
        ("-1e5", True),
        ("Corner-Shop", True),
        ("a=b", True),
    ],
)
def test_no_cell_is_a_formula(profile: Profile, tmp_path: Path, cell: str, kept: bool) -> None:
    reader = written(profile, tmp_path, [ROW.format("a", "12.5", f'"{cell}"')])
    write_results(reader, tmp_path, {}, lambda _: {}, BEGAN)
    with (tmp_path / "results.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert row["merchant"] == (cell if kept else f"'{cell}")
    [typed] = pa_parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert typed["merchant"] == cell


def test_a_column_of_the_same_name_stays(profile: Profile, tmp_path: Path) -> None:
    reader = written(profile, tmp_path, [ROW.format("a", 1, "x") + ",mine,2"], HEAD + ",score,=x")
    write_results(reader, tmp_path, {}, lambda _: {"a": a_row("block", 0.9, BEGAN)}, BEGAN)
    [row] = pa_parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert (row["score"], row["tidegate_score"], row["'=x"]) == ("mine", 0.9, "2")


def test_refused_rows_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "rejected.csv"
    path.write_text(
        "refused_row,refused_field,refused_reason,refused_detail,note\n"
        '7,amount,wrong_type,"a text, of\n2 lines",x\n9,,empty,the row is empty,\n'
    )
    assert refused_rows(path) == {7: "amount: a text, of\n2 lines", 9: "the row is empty"}
    lines = tmp_path / "rejected.jsonl"
    lines.write_bytes(
        msgspec.json.encode({"refused_row": "3", "refused_field": "", "refused_detail": "no JSON"})
        + b"\n"
    )
    assert refused_rows(lines) == {3: "no JSON"}
    assert refused_rows(tmp_path / "none.csv") == {}


def test_a_rule_is_named_among_the_reasons(policies: Policies, tmp_path: Path) -> None:
    rule = {"feature": "", "value": None, "contribution": 0.0, "text": "x", "rule": "large"}
    row = {
        "decision": "block",
        "score": 0.2,
        "reasons": [rule, {"feature": "burst", "contribution": 1.0}],
        "amount_minor": 100,
        "bundle": "gone",
        "policy": None,
        "ingested_us": 1,
    }
    [one] = decided({"a": row}, RiskLevels(tmp_path, policies)).values()
    assert one.reasons == ("large", "burst")


def test_risk_levels(trained: Trained, policies: Policies) -> None:
    levels = RiskLevels(trained.bundle.path.parent, policies)
    name = trained.bundle.hash
    assert levels.of("block", 0.95, 100, name) == "critical"
    assert levels.of("review", 0.5, 100, name) == "high"
    assert levels.of("approve", 0.25, 100, name) == "medium"
    assert levels.of("approve", 0.24, 100, name) == "low"
    assert levels.of("approve", 0.4, 100, "gone") == "low"


def test_risk_levels_by_the_policy_that_decided(policies: Policies, tmp_path: Path) -> None:
    levels = RiskLevels(tmp_path, policies)
    assert levels.of("approve", 0.1, 100, "any", STRICT.version) == "medium"
    assert levels.of("approve", 0.09, 100, "any", STRICT.version) == "low"
    assert levels.of("approve", 0.4, 100, "any", "gone") == "low"
