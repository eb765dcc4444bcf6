"""What `tidegate up` prints of its processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.running.screen import Screen
from tidegate.host.process import Child
from tidegate.profile import load_profile
from tidegate.settings import Settings


def test_words_of_a_process_are_printed_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen(Settings(home=tmp_path), load_profile("card"))
    child = Child("score", [], tmp_path, phase="backoff", cause="exit code 1: KeyError: '[/red]'")
    screen.changed(child)
    screen.note("training: 40%, trees[1] on 900 rows")
    printed = capsys.readouterr().out
    assert "score backoff: exit code 1: KeyError: '[/red]'" in printed
    assert "training: 40%, trees[1] on 900 rows" in printed
