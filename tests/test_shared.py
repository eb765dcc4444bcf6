"""What two workers share: a server runs once, and until neither needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shared import FOLDER

pytestmark = pytest.mark.processes
CONFTEST = """
    from contextlib import contextmanager
    from pathlib import Path
    import pytest
    from tests.shared import made_once, shared_server

    LOG = Path("log").resolve()

    def note(line):
        with LOG.open("a") as log:
            log.write(line + "\\n")

    @contextmanager
    def start():
        note("start")
        yield "address"
        note("stop")

    @pytest.fixture(scope="session")
    def server():
        with shared_server("toy", start) as address:
            yield address
"""
TEST = """
    from conftest import LOG, made_once, note
    from tests.support import eventually

    def test_use(server):
        assert made_once("thing", lambda folder: note(f"made {folder.name}")).is_dir()
        note(f"use {server}")
        eventually(lambda: LOG.read_text().count("use") == 2, 60)
"""


def test_the_first_worker_starts_it_and_waits_for_the_other(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_one=TEST, test_two=TEST)
    done = pytester.runpytest_subprocess("-p", "tests.marks", "-n", "2")
    done.assert_outcomes(passed=2)
    lines = Path("log").read_text().split("\n")
    assert (lines[0], lines[-2:]) == ("start", ["stop", ""])
    assert sorted(lines[1:-2]) == ["made thing", "use address", "use address"]
