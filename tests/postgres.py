"""A PostgreSQL server of the tests' own, from the machine's packages."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import eventually
from tidegate.host.embedded import free_port
from tidegate.host.spawn import guarded

ROOT = Path(__file__).resolve().parent.parent


def binaries() -> Path:
    """The folder of the newest server on this machine; installs one by scripts/test-services if
    there is none.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        subprocess.run([ROOT / "scripts" / "test-services"], check=True)
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent


@dataclass(slots=True)
class Postgres:
    """A server on a free port; `url` is SQLAlchemy's, of a superuser without a password."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://tidegate@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Create the cluster if the folder is new, start the server, wait until it takes
        connections.
        """
        data = self.folder / "data"
        if not data.exists():
            self._own()
            subprocess.run(
                self._as_user(
                    [
                        "initdb",
                        "-D",
                        str(data),
                        "-U",
                        "tidegate",
                        "-A",
                        "trust",
                        "-E",
                        "UTF8",
                        "--locale=C",
                        "--no-sync",
                    ]
                ),
                check=True,
                capture_output=True,
            )
        with (self.folder / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(
                guarded(
                    self._as_user(
                        [
                            "postgres",
                            "-D",
                            str(data),
                            "-p",
                            str(self.port),
                            "-k",
                            str(self.folder),
                            "-c",
                            "listen_addresses=127.0.0.1",
                            "-c",
                            "max_connections=100",
                        ]
                    )
                ),
                stdout=log,
                stderr=log,
            )
        ready = [str(binaries() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        eventually(lambda: subprocess.run(ready, check=False).returncode == 0, 120)  # recovery

    def stop(self) -> None:
        """End it at once, cleanly enough for a folder that is thrown away."""
        self._end(signal.SIGINT)  # "fast": SIGTERM would wait for the last client to leave

    def crash(self) -> None:
        """As if the machine had lost its power: without flushing anything; `start` recovers."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(20)

    def _as_user(self, command: list[str]) -> list[str]:
        full = [str(binaries() / command[0]), *command[1:]]
        if os.getuid():
            return full
        return [
            "setpriv",
            "--pdeathsig=KILL",
            f"--reuid={_owner().pw_uid}",
            f"--regid={_owner().pw_gid}",
            "--clear-groups",
            *full,
        ]

    def _own(self) -> None:
        """Give the folder to the server's user: it refuses to run as root."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(self.folder, _owner().pw_uid, _owner().pw_gid)


def _owner() -> pwd.struct_passwd:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres", names["nobody"])


def new_server(folder: Path) -> Postgres:
    """A server that is not started yet."""
    return Postgres(folder, free_port())
