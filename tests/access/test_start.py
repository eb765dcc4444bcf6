"""What starts without a key, and what does not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.running.first_key import check_keys, make_first_key
from db.keys import all_keys, create, revoke
from db.migrate import migrate
from db.users import add
from tidegate.access.keys import digest
from tidegate.access.users import User
from tidegate.clock import now_us
from tidegate.errors import ConfigError
from tidegate.host.embedded import free_port
from tidegate.settings import Settings

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested


def test_beyond_loopback_nothing_starts_without_a_key(tmp_path: Path) -> None:
    check_keys(Settings(home=tmp_path))
    check_keys(Settings(home=tmp_path, host=EVERYWHERE, auth="off"))
    for settings in (
        Settings(home=tmp_path, host=EVERYWHERE),
        Settings(home=tmp_path, auth="keys"),
    ):
        with pytest.raises(ConfigError, match="`tidegate keys create --name admin --scope admin`"):
            check_keys(settings)
    assert list(tmp_path.iterdir()) == [], "asking makes no database"
    migrate(settings.db_url)
    create(settings.db_url, "old", ["admin"], 1, now_us())
    with pytest.raises(ConfigError, match="no key holds"):
        check_keys(settings)
    add(settings.db_url, User("ann", "hash", "viewer", 1))
    check_keys(settings, pages_only=True)
    with pytest.raises(ConfigError, match="no key holds"):
        check_keys(settings)
    create(settings.db_url, "shop", ["ingest"], now_us())
    check_keys(settings)


def test_while_the_database_is_away_a_start_goes_on(tmp_path: Path) -> None:
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    check_keys(Settings(home=tmp_path, host=EVERYWHERE, db=away))


def test_the_first_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "admin"
    settings = Settings(home=tmp_path, host=EVERYWHERE)
    migrate(settings.db_url)
    assert make_first_key(Settings(home=tmp_path), file) == "", "nobody asks for it"
    assert str(file) in make_first_key(settings, file)
    (key,) = all_keys(settings.db_url)
    assert (key.scopes, key.hash) == (("admin",), digest(file.read_text().strip()))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    revoke(settings.db_url, "admin", now_us())
    assert make_first_key(settings, file) == "", "who ends it does not get another"


def test_a_file_that_cannot_be_written_costs_no_key(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, host=EVERYWHERE)
    migrate(settings.db_url)
    with pytest.raises(ConfigError, match="--first-key"):
        make_first_key(settings, tmp_path)
    assert all_keys(settings.db_url) == []


@pytest.mark.processes
@pytest.mark.parametrize("command", [["up"], ["run", "ingest"], ["run", "dashboard"]], ids=" ".join)
def test_the_commands_refuse_with_one_clear_line(command: list[str], tmp_path: Path) -> None:
    env = {**os.environ, "TIDEGATE_HOME": str(tmp_path / "home"), "TIDEGATE_HOST": EVERYWHERE}
    done = subprocess.run(
        [sys.executable, "-m", "cli", *command],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert "keys create --name admin --scope admin" in line
    assert "TIDEGATE_AUTH=off" in line
