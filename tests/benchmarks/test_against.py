"""Two commits are measured by the same code, and their figures stand beside each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.against import checked_out, compared, flat
from benchmarks.system import ROOT


def test_figures_of_groups_get_names_of_their_own() -> None:
    figures = {"rate": 10, "cpu": {"score": 1.5, "all": 4}, "note": "no number"}
    assert flat(figures) == {"rate": 10, "cpu.score": 1.5, "cpu.all": 4}


def test_medians_and_their_ratio_are_of_what_both_have_in_every_run() -> None:
    here = [{"rate": 10.0, "new": 1.0}, {"rate": 40.0, "new": 1.0}, {"rate": 20.0, "new": 1.0}]
    there = [{"rate": 1.0, "idle": 0.0}, {"rate": 10.0, "idle": 0.0}, {"rate": 30.0, "idle": 0.0}]
    assert compared(here, there) == {"rate": (20.0, 10.0, 2.0)}


def test_against_nothing_there_is_no_ratio() -> None:
    assert compared([{"lag": 2.0}], [{"lag": 0.0}]) == {"lag": (2.0, 0.0, None)}


@pytest.mark.processes
def test_the_other_commit_is_measured_by_this_ones_benchmarks() -> None:
    with checked_out("HEAD") as other:
        folder = other.folder
        assert other.python == Path(sys.executable)
        assert (folder / "topics.yaml").exists()
        for own in (ROOT / "benchmarks").glob("*.py"):
            assert (folder / "benchmarks" / own.name).read_bytes() == own.read_bytes()
    assert not folder.exists()
    listed = ["git", "-C", str(ROOT), "worktree", "list"]
    assert str(folder) not in subprocess.run(listed, capture_output=True, text=True).stdout
