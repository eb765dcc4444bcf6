"""The summary of `make compose-test`."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import pytest

from tests.compose.stack import run, tell


@pytest.fixture(scope="session")
def summary() -> Iterator[dict[str, str]]:
    """What was found, printed at the end."""
    engine = run("docker", "version", "-f", "{{.Server.Version}}").strip()
    lines = {
        "engine, compose, machine": f"{engine}, "
        f"{run('docker', 'compose', 'version', '--short').strip()}, "
        f"{platform.machine()}"
    }
    yield lines
    tell("\n\ncompose-test summary", *(f"  {name:32} {value}" for name, value in lines.items()))
