"""What the processes of a pipeline complained of, shown below a test that failed."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.system.pipeline import Pipeline


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add a section for each pipeline that the test asked for."""
    report = yield
    if report.failed:
        for name, asked in getattr(item, "funcargs", {}).items():
            if isinstance(asked, Pipeline):
                report.sections.append((f"complaints of {name}", asked.complaints()))
    return report
