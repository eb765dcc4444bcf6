"""Which tests run in `make check`, which share a worker, and which may not be skipped.

What a test needs is read off the fixtures and parameters it asks for, so nobody can forget a mark:
`kafka`, `postgres`, `chromium`, `training` (the models of `tests.trained`) and `processes` (a
running pipeline). Two of these are also set by hand: `training` where a test trains models by
itself, `processes` where it starts programs; and so is `long`, where one computes for long. A test
with none of them is `quick`: `make check` runs `pytest -m quick`, in which starting a program, or
making what the run shares, fails the test that did not say so.

`make test` has three workers (pytest-xdist), since most tests wait. Tests of one group run in one
worker, one after the other: a file, or all tests that use the same costly part or the same topics
(`_SHARED`). The mark `serial`, set by hand, is for tests that kill processes at random moments and
see how the others take it: two of them never run beside each other, but other tests run beside
them. Long groups start first.

Where the variable CI is set, a skipped test fails.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.shared import FOLDER, MAKING, run_folder

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads of LightGBM: some workers, few cores
# a broker that lives for a minute: what the second compiler gains would not pay its work, a half
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

_FIXTURES = {
    "kafka": {"kafka"},
    "postgres": {"postgres"},
    "chromium": {"chromium"},
    "training": {"trained", "everything"},
    "processes": {"pipeline", "running", "cluster"},
}
"""The fixtures by which a test gets a mark."""
_PARAMETERS = {"kafka": "kafka", "postgresql": "postgres"}
"""A parameter of this value makes a fixture ask for that part."""
_BY_HAND = {
    "training": "trains models",
    "processes": "starts programs",
    "long": "computes for long by itself",
    "serial": "must not run beside another test of this mark",
}
_SLOW = {*_FIXTURES, "long", "serial"}
_SHARED = ("serial", "everything", "trained", "pipeline_topics")
"""Marks and fixtures whose tests form one group."""
_FIRST = ("serial", "processes", "training", "kafka", "long")
"""Groups start in this order of their marks."""
_RUN = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks, and make the folder that the workers share."""
    for name, meaning in (dict.fromkeys(_FIXTURES, "uses it") | _BY_HAND).items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.addinivalue_line("markers", "quick: has none of the marks of slow parts")
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="tidegate-tests-")
        config.stash[_RUN] = True
    if config.option.markexpr == "quick":
        sys.addaudithook(_nothing_slow)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The process that made the folder removes it."""
    if config.stash.get(_RUN, False):
        shutil.rmtree(os.environ.pop(FOLDER))


@pytest.hookimpl(wrapper=True)  # before -m chooses, and before xdist reads the groups
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Mark each test by what it asks for, and put it into its group."""
    for item in items:
        for name in _needs(item):
            item.add_marker(name)
        if not _SLOW & _names(item):
            item.add_marker("quick")
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)
        _groups_file().write_text(json.dumps({item.nodeid: _group(item) for item in items}))
    yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """A whole group goes to one worker, in the order in which the tests were sorted."""
    config.option.loadscopereorder = False
    return _ByGroup(config, log)


class _ByGroup(LoadScopeScheduling):
    """`--dist loadgroup`, which this version of xdist cannot do with this one of pytest."""

    def _split_scope(self, nodeid: str) -> str:
        return _groups()[nodeid]


@cache
def _groups() -> dict[str, str]:
    groups: dict[str, str] = json.loads(_groups_file().read_text())
    return groups


def _groups_file() -> Path:
    """What the workers, which collect the tests, tell the process that deals them out."""
    return run_folder() / "groups.json"


def _needs(item: pytest.Item) -> set[str]:
    fixtures = set(getattr(item, "fixturenames", ()))
    if call := getattr(item, "callspec", None):
        values = [value for value in call.params.values() if isinstance(value, str)]
        fixtures |= {_PARAMETERS[value] for value in values if value in _PARAMETERS}
    return {mark for mark, names in _FIXTURES.items() if names & fixtures}


def _names(item: pytest.Item) -> set[str]:
    return {mark.name for mark in item.iter_markers()}


def _group(item: pytest.Item) -> str:
    known = _names(item) | set(getattr(item, "fixturenames", ()))
    file = item.nodeid.partition("::")[0]
    return next((name for name in _SHARED if name in known), file)


def _turn(item: pytest.Item) -> int:
    names = _names(item)
    return next((at for at, name in enumerate(_FIRST) if name in names), len(_FIRST))


def _nothing_slow(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("subprocess.Popen", MAKING) and os.environ.get("PYTEST_CURRENT_TEST"):
        raise AssertionError(f"a quick test starts or makes {arguments[0]}: mark it by hand")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that is skipped fails."""
    report = yield
    _refuse_skipping(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI a file that is skipped fails."""
    report = yield
    _refuse_skipping(report)
    return report


def _refuse_skipping(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped, and this is CI: {report.longrepr}"
