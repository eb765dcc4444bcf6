"""The documents are held to the code: their commands run, their settings are the settings."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.api.openapi_compat import CARD
from producers.api.routes.compat import PATHS
from producers.api.verdict_ways import STATUSES
from tests.support import eventually
from tests.system.pipeline import ROOT, Pipeline, trained_card
from tidegate.aliases import ALIASES
from tidegate.reasons import REASONS, Reason
from tidegate.settings import Settings

README = ROOT / "README.md"
VENV = Path(sys.executable).parent
CURL = "curl -sS -f --retry 10 --retry-delay 1 --retry-all-errors"
"""A shell types faster than a person: a row may be a few milliseconds behind its decision."""
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
OWN_TESTS = [ROOT / "docs/your-own-data.md"]  # it has files and a profile of its own


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    pipeline = Pipeline(tmp_path_factory.mktemp("docs") / "home", bundles=trained_card())
    pipeline.start()
    yield pipeline
    pipeline.close()


def in_one_shell(page: Path, running: Pipeline, path: str) -> str:
    """Type a page's commands one after the other; the output of the whole. Fails at the first
    command that fails.
    """
    typed = "\n".join(commands(page))
    typed = typed.replace("127.0.0.1:5000", f"127.0.0.1:{running.port}")
    typed = typed.replace("curl -s", CURL).replace(".venv", sys.prefix)
    done = subprocess.run(
        ["bash", "-evc", typed],
        cwd=ROOT,
        env={**running.env, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{page.name}\n{done.stderr}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if commands(page) and page not in OWN_TESTS and page != README],
    ids=lambda page: page.name,
)
def test_every_command_of_a_page_succeeds(page: Path, running: Pipeline) -> None:
    # the page before may have changed the champion, for which the learner starts anew
    eventually(lambda: running.run("status").returncode == 0, 60, every=1.0)
    in_one_shell(page, running, f"{VENV}{os.pathsep}{os.environ['PATH']}")


def test_the_tour_of_the_readme_works_as_typed_in_a_new_terminal(running: Pipeline) -> None:
    """The command is on nobody's PATH after `make up`: the tour itself has to say how."""
    folders = os.environ["PATH"].split(os.pathsep)
    bare = [folder for folder in folders if not (Path(folder) / "tidegate").exists()]
    output = in_one_shell(README, running, os.pathsep.join(bare))
    assert '"transaction_id":"t-1"' in output.replace(" ", "")
    assert '"reasons":[{"feature":' in output.replace(" ", ""), "t-3 is explained"


def test_the_clients_page_runs(running: Pipeline) -> None:
    """The last of its programs reads along while the one before sends."""
    eventually(lambda: running.run("status").returncode == 0, 60, every=1.0)
    programs = re.findall(r"```python\n(.*?)```", (ROOT / "docs/client.md").read_text(), re.DOTALL)
    decide, send, read = [
        program.replace("127.0.0.1:5000", f"127.0.0.1:{running.port}") for program in programs
    ]
    assert re.match(r"(approve|review|block) 0\.", in_python(decide, running))
    reader = subprocess.Popen(
        [sys.executable, "-c", read], cwd=ROOT, env=running.env, stdout=subprocess.PIPE, text=True
    )
    fresh = (send.replace("c-{", f"c-{turn}-{{") for turn in itertools.count())
    while reader.poll() is None:  # it has to begin before something can be new to it
        assert "2000 are durable" in in_python(next(fresh), running)
    said, _ = reader.communicate(timeout=60)
    assert re.match(r"c-\d+-\d+ (approve|review|block) \S+~", said)


def in_python(program: str, running: Pipeline) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=running.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_on_operation_lists_every_setting() -> None:
    listed = dict(
        re.findall(
            r"^\| `(TIDEGATE_\w+)` \| (.*?) \| .+ \|$",
            (ROOT / "docs/operation.md").read_text(),
            re.MULTILINE,
        )
    )
    fields = Settings.model_fields.items()
    shown = {name: "" if field.default is None else str(field.default) for name, field in fields}
    assert listed == {
        f"TIDEGATE_{name.upper()}": f"`{default}`" if default and name != "kafka_password" else ""
        for name, default in shown.items()
    }
    assert all(field.description for _, field in fields)


def test_the_page_on_operation_lists_every_reason() -> None:
    table = (ROOT / "docs/operation.md").read_text().split("<!-- reasons:")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `([a-z0-9_]+)` \| (yes|no) \| (.+) \|$", table, re.MULTILINE)
    assert {name: Reason(counts == "yes", meaning) for name, counts, meaning in rows} == REASONS


def test_the_page_on_the_api_lists_every_status_of_a_verdict() -> None:
    table = (ROOT / "docs/api.md").read_text().split("<!-- statuses:")[1].split("\n\n")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE)) == STATUSES


def test_the_page_for_other_projects_lists_every_alias() -> None:
    table = (ROOT / "docs/coming-from.md").read_text().split("<!-- aliases:")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| `TIDEGATE_(\w+)` \|", table, re.MULTILINE))
    assert {name: setting.lower() for name, setting in rows.items()} == ALIASES


def test_every_make_target_for_other_projects_is_there_and_says_what_it_stands_for() -> None:
    page = (ROOT / "docs/coming-from.md").read_text().split("## Commands")[1].split("## ")[0]
    make = (ROOT / "Makefile").read_text()
    stand_for = re.findall(r"^([a-z-]+):.*\n\t\$\(call STANDS_FOR,", make, re.MULTILINE)
    told = re.findall(r"[`]make ([a-z-]+)|[`](docker-[a-z]+)", page)
    assert set(stand_for) == {name for pair in told for name in pair if name} - {"up"}


def test_the_example_of_the_page_for_other_projects_is_that_of_the_api() -> None:
    posted = next(line for line in commands(ROOT / "docs/coming-from.md") if " -d " in line)
    assert json.loads(shlex.split(posted)[-1]) == {"transaction_id": "c-1"} | CARD


def test_the_page_for_other_projects_lists_every_address() -> None:
    page = (ROOT / "docs/coming-from.md").read_text().split("## Endpoints")[1].split("## ")[0]
    for method, path in PATHS:
        shown = path.replace("<id:transaction_id>", "ID").replace("<job>", "ID")
        inside = shown.removeprefix("/api/v1") if shown.endswith("/health") else shown
        assert f"{method} {shown}`" in page or f"`{inside}`" in page, (method, path)
