"""The rules of `tests.marks`, on test files of their own."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.processes
PLUGIN = ("-p", "tests.marks", "-p", "no:cacheprovider")
ONE_OF_EACH = """
    import subprocess
    import pytest

    @pytest.fixture
    def kafka():
        return ""

    def test_of_memory():
        pass

    def test_of_a_broker(kafka):
        pass

    @pytest.mark.parametrize("database", ["sqlite", "postgresql"])
    def test_of_a_database(database):
        pass

    def test_that_forgot_its_mark():
        subprocess.run(["true"])
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty folder for tests."""
    monkeypatch.delenv("CI", raising=False)
    return pytester


def test_quick_tests_use_nothing_slow_and_may_not(suite: pytest.Pytester) -> None:
    suite.makepyfile(ONE_OF_EACH)
    done = suite.runpytest_subprocess(*PLUGIN, "-m", "quick", "-v")
    done.assert_outcomes(passed=2, failed=1, deselected=2)
    done.stdout.fnmatch_lines(
        ["*test_of_memory PASSED*", "*test_of_a_database?sqlite? PASSED*", "*mark it by hand*"]
    )


@pytest.mark.parametrize(
    "body",
    [
        "import pytest\n\ndef test(): pytest.skip('away')",
        "import pytest\n\npytest.importorskip('no_such_module')",
    ],
    ids=["one test", "a file"],
)
def test_a_skipped_test_fails_in_ci(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    suite.makepyfile(body)
    assert suite.runpytest_subprocess(*PLUGIN).ret in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    monkeypatch.setenv("CI", "1")
    done = suite.runpytest_subprocess(*PLUGIN)
    done.stdout.fnmatch_lines(["*skipped, and this is CI*"])
    assert done.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
