"""The summary of `make compose-test`."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.stack import run
from tests.shared import run_folder


def lines_of_summary() -> Path:
    """The file to which each worker adds what it measured."""
    return run_folder() / "compose-summary"


@pytest.fixture(scope="session")
def summary() -> Iterator[dict[str, str]]:
    """What was measured, printed at the end."""
    lines: dict[str, str] = {}
    yield lines
    with lines_of_summary().open("a") as file:
        file.writelines(f"  {name:32} {value}\n" for name, value in lines.items())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it, of all workers."""
    if lines_of_summary().exists():
        engine = run("docker", "version", "-f", "{{.Server.Version}}").strip()
        compose = run("docker", "compose", "version", "--short").strip()
        terminalreporter.section("compose-test summary")
        terminalreporter.line(f"  engine {engine}, compose {compose}, {platform.machine()}")
        terminalreporter.write(lines_of_summary().read_text())
