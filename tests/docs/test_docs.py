"""The documents are held to the code: their commands run, their table of settings is the
settings.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.pipeline import ROOT, Pipeline, trained_card
from tidegate.settings import Settings

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
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


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if commands(page) and page not in OWN_TESTS],
    ids=lambda page: page.name,
)
def test_every_command_of_a_page_succeeds(page: Path, running: Pipeline) -> None:
    env = {**running.env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in commands(page):
        here = command.replace("127.0.0.1:5000", f"127.0.0.1:{running.port}").replace(
            "curl -s", "curl -sS -f"
        )
        done = subprocess.run(
            ["bash", "-c", here],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"$ {here}\n{done.stdout}{done.stderr}"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


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
