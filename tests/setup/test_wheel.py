"""The built package in an environment of its own, run in a folder that holds nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import eventually
from tests.system.pipeline import Pipeline

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment with Tidegate's wheel; of this one it sees the dependencies only."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip"]
    build = ["wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    subprocess.run([*pip, "--python", python, "install", "--quiet", "--no-deps", wheel], check=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    (own / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


class Installed(Pipeline):
    """A pipeline of the installed command."""

    python: Path

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python.with_name("tidegate")), *arguments]


@pytest.fixture
def pipeline(python: Path, empty: Path) -> Iterator[Installed]:
    made = Installed(empty / "var", "wallet", cwd=empty)
    made.python = python
    yield made
    made.close()


def tidegate(python: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    plain = {name: os.environ[name] for name in os.environ if not name.startswith("TIDEGATE_")}
    return subprocess.run(
        [python.with_name("tidegate"), *arguments],
        cwd=cwd,
        env=plain,
        check=False,
        capture_output=True,
        text=True,
    )


def test_it_does_not_read_the_checkout(python: Path, empty: Path) -> None:
    code = "import model, tidegate.shipped; print(model.__file__, tidegate.shipped.FOLDER)"
    done = subprocess.run([python, "-c", code], cwd=empty, check=True, stdout=subprocess.PIPE)
    folders = done.stdout.decode().split()
    assert all(folder.startswith(str(python.parents[1])) for folder in folders)


def test_a_transaction_is_decided_in_an_empty_folder(pipeline: Installed) -> None:
    pipeline.start()
    status, decision = pipeline.post(
        "/v1/transactions?wait_ms=10000",
        {
            "transaction_id": "w-1",
            "user_id": "u-1",
            "transaction_type": "retiro",
            "amount": 50.0,
            "balance_before": 40.0,
            "balance_after": -10.0,
            "timestamp": datetime.now(UTC).isoformat(),
        },
    )
    assert (status, decision["transaction_id"]) == (200, "w-1")
    eventually(lambda: pipeline.get("/v1/transactions/w-1")[0] == 200, 20)
    assert pipeline.stop() == 0
    assert [path.name for path in pipeline.cwd.iterdir()] == ["var"]


def test_files_of_the_folder_go_first(python: Path, empty: Path) -> None:
    shipped = tidegate(python, empty, "profile", "check", "card")
    assert "shipped/profiles/card.yaml" in shipped.stdout
    (empty / "profiles").mkdir()
    (empty / "profiles/card.yaml").write_text((ROOT / "profiles/wallet.yaml").read_text())
    own = tidegate(python, empty, "profile", "check", "card")
    assert "balance_before" in own.stdout
    (empty / "topics.yaml").write_text("topics: 7\n")
    topics = tidegate(python, empty, "topics", "check")
    assert topics.returncode == 78
    assert " topics.yaml: Expected" in topics.stderr
