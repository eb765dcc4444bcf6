"""`tidegate erase`, and a password that has no place in an argument."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from db.audit import export
from db.migrate import migrate
from db.store import Store
from tests.db.scored import NAMES, Writer, values
from tests.profile.test_tokens import KEY, NUMBER, TOKEN, changed

pytestmark = pytest.mark.processes


def tidegate(*arguments: str, said: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | env,
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(made)
    return made


def rows_of(url: str, *accounts: str) -> None:
    writer = Writer(url)
    for number, account in enumerate(accounts):
        writer.write(*values([f"t{number}"], account=account))
    writer.sink.close()


def test_an_account_is_erased_by_its_value_and_told(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)
    profile = changed(tmp_path, TOKEN)
    rows_of(url, profile.stored("user_id", NUMBER), "another")
    command = ("erase", "-", "--db", url, "--profile", str(profile.path), "--json")
    assert tidegate(*command, said=f"{NUMBER}\n").stdout == '{"rows": 1, "log_emptied": true}\n'
    store = Store(url, NAMES)
    assert store.count() == 1
    store.close()
    assert [entry.what for entry in export(url)] == ["account erased"]
    assert "rows of the account are deleted" in tidegate("erase", "another", "--db", url).stdout


def test_a_reader_who_keeps_the_log_is_told_of(url: str, tmp_path: Path) -> None:
    rows_of(url, "gone")
    with closing(sqlite3.connect(tmp_path / "tidegate.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM transactions").fetchone() == (1,)
        told = tidegate("erase", "gone", "--db", url, "--json")
        assert (told.returncode, told.stdout) == (1, '{"rows": 1, "log_emptied": false}\n')
        # Not in this process: to close a file that it has open ends the reader's locks.
        assert subprocess.run(["grep", "-r", "gone", tmp_path], check=False).returncode == 0
    assert "Run the same command again until it ends with exit code 0" in told.stderr
    assert tidegate("erase", "gone", "--db", url).returncode == 0
    assert b"gone" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_what_cannot_be_erased(url: str) -> None:
    nobody = tidegate("erase", "x", "--db", url, "--profile", "vector")
    assert nobody.returncode == 78
    assert "has no account whose rows could be erased" in nobody.stderr
    empty = tidegate("erase", "-", "--db", url)
    assert empty.returncode == 78
    assert "Standard input was empty" in empty.stderr


@pytest.mark.parametrize("url", ["postgresql://a:b@c/d", "postgresql://a@c/d?password=b"])
def test_an_argument_holds_no_password(url: str) -> None:
    refused = tidegate("audit", "verify", "--db", url)
    assert refused.returncode == 78
    assert "a password has no place in an argument" in refused.stderr
    assert url not in refused.stderr
