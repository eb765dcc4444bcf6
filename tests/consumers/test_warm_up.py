"""A stage that says it is ready has compiled what it will run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.compose.stack import ROOT
from tests.trained import Trained

pytestmark = [pytest.mark.processes, pytest.mark.training]


def compiled_late(*arguments: str) -> list[str]:
    command = [sys.executable, "-m", "tests.consumers.compiled_late", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(("profile", "step"), [("card", 0), ("card", 1), ("sffsd", 0)])
def test_a_keyed_step_compiles_nothing_after_its_warm_up(profile: str, step: int) -> None:
    """The first step, one that keeps verdicts, and one that does both."""
    assert compiled_late(profile, str(step)) == []


def test_the_score_stage_compiles_nothing_after_it_has_loaded_a_bundle(trained: Trained) -> None:
    assert compiled_late("card", str(trained.bundle.path)) == []
