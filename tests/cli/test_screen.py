"""What `tidegate up` prints of its processes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from cli.running.sample import curl_line
from cli.running.screen import Screen
from db.keys import create
from tests.producers.running_api import serve
from tidegate.clock import now_us
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


@pytest.mark.processes
@pytest.mark.parametrize("auth", ["keys", "off"])
def test_the_line_to_try_works_also_where_a_key_is_asked_for(tmp_path: Path, auth: str) -> None:
    profile = load_profile("card")
    with serve(profile, tmp_path, auth=auth) as api:
        port = int(api.url.rpartition(":")[2])
        line = curl_line(Settings(home=tmp_path, auth=auth, port=port), profile)
        shown = create(api.database, "shop", ["ingest"], now_us(), None)[1]
        done = subprocess.run(
            ["sh", "-c", line],
            env=os.environ | {"TIDEGATE_KEY": shown},
            capture_output=True,
            timeout=60,
            check=True,
        )
    assert json.loads(done.stdout)["status"] == "accepted"
    assert ("$TIDEGATE_KEY" in line) == (auth == "keys")
