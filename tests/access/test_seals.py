"""The head of the audit on a topic of its own: what it finds out, and what it does not hide."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from db.audit import export, verify
from db.migrate import migrate
from db.seals import Sealer, seals
from tests.access.test_audit import filled, unguarded
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.errors import ConfigError, Retry
from tidegate.pipeline import AUDIT


def log() -> MemoryBroker:
    return MemoryBroker({AUDIT: 1})


def sealed(broker: MemoryBroker) -> list[tuple[int, bytes]]:
    return [(found.seq, bytes.fromhex(found.hash)) for found in seals(broker)]


def test_a_seal_is_written_when_entries_were_added_and_only_then(url: str) -> None:
    broker = log()
    sealer = Sealer(broker, url)
    assert sealer.seal() is None, "there is no entry yet"
    for entries in (2, 4):
        filled(url, 2)
        assert sealer.seal() is not None
        assert sealer.seal() is None
        assert Sealer(broker, url).seal() is None, "another one begins with what is there"
        assert verify(url, sealed(broker)) == (entries, list(export(url))[-1].hash, None)
    assert sealed(broker) == [(entry.seq, entry.hash) for entry in export(url)][1::2]


def test_before_there_is_a_table_nothing_is_sealed(empty: str) -> None:
    assert Sealer(log(), empty).seal() is None


def test_what_is_away_is_sealed_later(url: str) -> None:
    broker = log()
    sealer = Sealer(broker, url)
    filled(url, 1)

    def away(_name: str, _done: bool) -> None:
        raise Retry("away")

    broker.hook = away
    with pytest.raises(Retry):
        sealer.seal()
    broker.hook = lambda _name, _done: None
    assert sealer.seal() is not None
    assert [seq for seq, _ in sealed(broker)] == [1]


@pytest.mark.parametrize(("anew", "wrong"), [(0, 3), (1, 4), (2, 4), (9, 4)])
def test_entries_cut_off_and_a_chain_made_anew_are_found_and_never_sealed_over(
    url: str, anew: int, wrong: int
) -> None:
    """Two stay; so many come in the place of three that were cut off."""
    broker = log()
    filled(url, 4)
    Sealer(broker, url).seal()
    filled(url, 1)
    sealer = Sealer(broker, url)
    sealer.seal()
    unguarded(url, "DELETE FROM audit WHERE seq > 2")
    filled(url, anew)
    assert verify(url).wrong is None, "by itself it is a chain"
    assert verify(url, sealed(broker)).wrong == wrong
    for each in (sealer, Sealer(broker, url)):
        with pytest.raises(ConfigError, match="entry 5 is not the one that was sealed"):
            each.seal()
    assert [seq for seq, _ in sealed(broker)] == [4, 5]


def test_two_seals_that_contradict_each_other_are_no_proof(url: str) -> None:
    filled(url, 3)
    last = list(export(url))[-1].hash
    assert verify(url, [(3, last), (3, last)]).wrong is None
    assert verify(url, [(3, bytes(32)), (3, last)]).wrong == 3


@pytest.mark.parametrize("value", [None, b"{", b"\xff", b'{"seq":0,"hash":""}'])
def test_what_is_no_seal_is_refused_with_its_place(url: str, value: bytes | None) -> None:
    broker = log()
    filled(url, 1)
    Sealer(broker, url).seal()
    broker.append(AUDIT, b"head", value, None, None)
    with pytest.raises(ConfigError, match="topic audit, offset 1: this is no seal"):
        sealed(broker)


def typed(*arguments: str) -> tuple[int, str]:
    """Exit code and output of a command; the words of an error that ends it."""
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        return 78, str(done.exception)
    return done.exit_code, done.stdout


@pytest.mark.processes
@pytest.mark.usefixtures("pipeline_topics")
def test_the_commands_seal_and_verify_on_kafka(kafka: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    where = ("--kafka", kafka, "--db", url)
    migrate(url)
    filled(url)
    head = f"5:{list(export(url))[-1].hash.hex()}"
    assert typed("audit", "verify", *where) == (0, f"5 entries hold, none is sealed; head {head}\n")
    assert typed("audit", "seal", *where) == (0, f"sealed {head}\n")
    assert typed("audit", "seal", *where) == (0, "")
    command = [sys.executable, "-m", "cli", "audit", "seal", "--every", "3600", *where]
    filled(url, 1)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline().startswith("sealed 6:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    code, said = typed("audit", "verify", *where)
    assert (code, said.partition(";")[0]) == (0, "6 entries hold, sealed up to 6")

    unguarded(url, "DELETE FROM audit WHERE seq > 3")
    gone = "entry 4 is not as it was written or sealed, or is gone\n"
    assert typed("audit", "verify", *where) == (1, gone)
    code, said = typed("audit", "seal", *where)
    assert (code, "nothing is sealed any more" in said) == (78, True)
    away = ("--kafka", "127.0.0.1:1", "--db", url)
    assert typed("audit", "verify", *away)[0] == 78, "seals that cannot be read are not passed over"
    assert typed("audit", "verify", *away, "--head", head) == (1, gone)
