"""`tidegate backtest --bundle` without a pipeline: a file, two bundles, a report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from cli.backtest import backtest
from cli.challenger import thresholds_of
from producers.simulator.history import simulate_history
from tests.faults.bundle import card_bundle
from tidegate.errors import ConfigError, Retry
from tidegate.profile import load_profile

pytestmark = pytest.mark.training

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frame = simulate_history(load_profile("card"), 20_000, 9).iloc[:4000]
    path = tmp_path_factory.mktemp("file") / "history.csv"
    frame.assign(user_id=EVIL + frame["user_id"]).to_csv(path, index=False)
    return path


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a bundle; nothing else is there, and no Kafka."""
    for name, value in {
        "HOME": str(tmp_path / "home"),
        "PROFILE": "card",
        "KAFKA": "127.0.0.1:1",
    }.items():
        monkeypatch.setenv(f"TIDEGATE_{name}", value)
    folder, bundle = card_bundle()
    return str(folder / bundle.hash)


def test_a_report_of_a_file_without_a_kafka(
    bundle: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {
        "bundle": bundle,
        "champion": bundle,
        "data": str(file),
        "thresholds": "review=0.05,block=0.1",
        "report": tmp_path / "new" / "report",
    }
    backtest(**options)  # type: ignore[arg-type] # by name
    printed = capsys.readouterr().out
    assert "4,000 of 4,000 transactions decided" in printed
    assert "report.html" in printed
    assert sorted(path.name for path in (tmp_path / "new" / "report").iterdir()) == [
        "calibration.png",
        "precision-recall.png",
        "report.html",
        "report.json",
        "roc.png",
    ]
    for plot in (tmp_path / "new" / "report").glob("*.png"):
        assert plot.read_bytes().startswith(b"\x89PNG\r\n")
    report = json.loads((tmp_path / "new" / "report" / "report.json").read_text())
    assert report["candidate"]["thresholds"] == {"review": 0.05, "block": 0.1}
    assert report["candidate"]["metrics"] == report["champion"]["metrics"]
    counts = report["disagreements"]["counts"]
    assert counts["approve"]["review"] + counts["approve"]["block"] > 0
    assert sum(sum(line.values()) for line in counts.values()) == report["rows"] == 4000
    check_page((tmp_path / "new" / "report" / "report.html").read_text(), report)


def check_page(page: str, report: dict[str, object]) -> None:
    """It needs nothing from elsewhere, and what others wrote is text."""
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/png;base64,") == 3
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "multiplies the odds" in page
    assert str(report["profile"]) in page


def test_json_for_scripts(
    bundle: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backtest(
        bundle=bundle,
        champion=bundle,
        data=str(file),
        report=tmp_path,
        as_json=True,
        since="2025-01-05",
        until="2025-01-08",
    )
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "report.json").read_text())
    days = {
        pd.Timestamp(report[name], unit="us").date().isoformat() for name in ("from_us", "to_us")
    }
    assert days == {"2025-01-05", "2025-01-07"}
    assert report["disagreements"]["rows"] == 0
    assert report["read"] == 4000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": ["2025-01-01"]}, "leave out --fold"),
        ({"topic": True}, "--data FILE or --topic"),
        ({"champion": "none"}, "0 bundles in .* begin with 'none'"),
        ({"thresholds": "much"}, "expected numbers such as"),
        ({"thresholds": "review=0.9,block=0.5"}, "expected review <= block"),
        ({"since": "soon"}, "expected a date"),
        ({"since": "2025-01-03", "until": "2025-01-02"}, "does not lie before"),
        (
            {"since": "2035-01-03"},
            r"no transaction to decide among the 4,000 .* they are of 2025-01-01 to 2025-01-1",
        ),
        ({"label": "verdict"}, "has no column 'verdict'"),
        ({"data": "none.csv"}, r"there is no file none\.csv"),
        ({"profile": "wallet"}, "was trained for profile card"),
    ],
)
def test_what_cannot_be_done_is_named(
    bundle: str, file: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    options = {
        "bundle": bundle,
        "champion": bundle,
        "data": str(file),
        "report": tmp_path / "report",
    } | options
    with pytest.raises((ConfigError, Retry), match=message):
        backtest(**options)  # type: ignore[arg-type] # by name
    assert not (tmp_path / "report").exists()


def test_options_of_a_bundle_need_a_bundle(file: Path) -> None:
    for options in ({"data": str(file), "since": "2025-01-01"}, {"topic": True}, {}):
        with pytest.raises(ConfigError, match="a finished model by --bundle"):
            backtest(**options)  # type: ignore[arg-type] # by name


def test_a_report_that_cannot_be_written_is_named(bundle: str, file: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ConfigError, match=r"--report .*taken: cannot be written"):
        backtest(bundle=bundle, champion=bundle, data=str(file), report=tmp_path / "taken")


def test_thresholds_by_cost() -> None:
    assert thresholds_of("review_cost=300, block_cost=5000") == {
        "review_cost": 300,
        "block_cost": 5000,
    }
