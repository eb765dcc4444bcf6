"""Options that say how a file is written mean the same for every command that reads one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from cli import app
from cli.file_options import Written
from consumers.retraining.data import from_file
from model.evaluation.cases import Span
from model.evaluation.cases import from_file as cases
from model.files.formats.detect import FORMATS
from tests.model.history.payments import profile_in, rows, write
from tidegate.errors import ConfigError
from tidegate.profile import load_profile

NAMES = "ref|payer|payee|Betrag|booked_at|mcc|country|home|pieces|chargeback"
OPTIONS = ("--separator", "|", "--decimal-mark", ",", "--zone", "Europe/Berlin")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TIDEGATE_PROFILE", str(profile_in(tmp_path).path))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """800 payments with marks, a column and times that the profile does not know, and no suffix."""
    marks = str.maketrans({",": "|", ".": ",", "Z": ""})
    there = Path(write(tmp_path, [line.translate(marks) for line in rows(800)], NAMES))
    return str(there.rename(tmp_path / "export"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def error(*arguments: str) -> str:
    found = run(*arguments).exception
    assert isinstance(found, ConfigError), found
    return str(found)


@pytest.mark.parametrize("name", ["send", "train", "retrain", "backtest", "feedback"])
def test_each_command_that_reads_a_file_has_them(name: str) -> None:
    commands = typer.main.get_command(app)
    assert isinstance(commands, TyperGroup)
    options = {option.name: option for option in commands.commands[name].params}
    assert {"separator", "encoding", "zone", "decimal_mark", "form", "column"} <= options.keys()
    said = getattr(options["form"], "help", "")
    assert all(form in said for form in FORMATS)


@pytest.mark.training
def test_training_and_backtests_read_by_them(file: str, tmp_path: Path) -> None:
    said = (*OPTIONS, "--format", "csv", "--column", "eur=Betrag")
    trained = json.loads(run("train", "--json", "--history", file, *said).stdout)
    assert (trained["history"]["read"], trained["history"]["used"]) == (800, 800)
    assert trained["history"]["from_us"] == 1_672_527_600_000_000, "midnight in Berlin"
    out = str(tmp_path / "scores.csv")
    judged = run("backtest", "--data", file, "--split", "0.8", "--out", out, *said)
    assert "export: 800 rows read, 800 used" in judged.stdout


def test_a_retraining_and_a_bundle_s_backtest_take_the_kind(tmp_path: Path) -> None:
    place = write(tmp_path, rows(50))
    there = str(Path(place).rename(tmp_path / "plain"))
    profile = load_profile(tmp_path / "payments.yaml")
    assert from_file(profile, there, form="csv").read == 50
    assert cases(profile, there, "", Span(), lambda _share, _what: None, form="csv").read == 50


def test_verdicts_are_read_by_them(file: str) -> None:
    Path(file).write_text("reference|chargeback\nr1|\nr2|\n")
    said = ("--separator", "|", "--format", "csv", "--column", "ref=reference")
    assert "export: 2 rows read, 2 without a verdict" in error("feedback", file, *said)


def test_a_draft_is_made_by_them_and_keeps_them(tmp_path: Path) -> None:
    lines = [f"{i}|2026-03-0{i % 9 + 1} 10:00:00|{i}.{i:02}0,5|Caf\xe9" for i in range(1, 60)]
    place = tmp_path / "export.csv"
    place.write_bytes("\n".join(["Nr|Zeit|Betrag|Laden", *lines, ""]).encode("cp1252"))
    said = ("--separator", "|", "--encoding", "windows-1252", "--zone", "Europe/Berlin")
    out = tmp_path / "drafted.yaml"
    assert run("profile", "draft", str(place), "--out", str(out), *said).exit_code == 0
    file = load_profile(out).file
    assert (file.separator, file.encoding, file.zone) == ("|", "windows-1252", "Europe/Berlin")


def test_they_change_how_files_are_read_and_no_hash() -> None:
    card = load_profile("card")
    columns = ["amount=Betrag (€)", "timestamp=Date", "timestamp=Time"]
    changed = Written("tab", zone="+02:00", decimal_mark=",", column=columns).of(card)
    file = changed.file
    assert (file.sign, file.zone, file.decimal_mark) == ("\t", "+02:00", ",")
    assert changed.fields["amount"].column == "Betrag (€)"
    assert changed.fields["timestamp"].column == ["Date", "Time"]
    assert (changed.hash, changed.version) == (card.hash, card.version)
    assert (card.file.sign, card.fields["amount"].column) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--separator", "::"), "--separator: expected one ASCII sign, or tab"),
        (("--separator", "tabs"), "--separator"),
        (("--encoding", "latin-99"), "--encoding: expected a name such as windows-1252"),
        (("--encoding", "undefined"), "--encoding: expected a name such as windows-1252"),
        (("--zone", "Berlin"), "--zone: expected a name such as Europe/Berlin, or +02:00"),
        (("--decimal-mark", ",,"), "--decimal-mark"),
        (("--decimal-mark", "5"), "--decimal-mark: expected one sign"),
        (("--column", "eur"), "--column eur: expected FIELD=NAME"),
        (("--column", "sum=x"), "--column sum=x: expected FIELD=NAME with a field of profile"),
        (("--column", "eur=a", "--column", "eur=b"), "--column eur: a money field stands in one"),
        (("--column", "home=a", "--column", "home=b"), "--column home: a bool"),
        (("--format", "docx"), "--format docx: expected one of csv, parquet"),
    ],
)
def test_what_makes_no_sense_names_its_option(
    arguments: tuple[str, ...], told: str, file: str
) -> None:
    assert error("train", "--history", file, *arguments).startswith(told)


def test_they_are_of_a_file(tmp_path: Path) -> None:
    assert "name it by --data" in error("retrain", *OPTIONS)
    assert "name it by --data" in error("backtest", "--bundle", "champion", *OPTIONS)
    assert "name it by --history" in error("train", "--profile", "card", *OPTIONS)
    missing = str(tmp_path / "no.csv")
    assert error("retrain", "--data", missing) == f"there is no file {missing}"
