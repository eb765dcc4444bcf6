"""docs/your-own-data.md as a new user goes through it: with a file of other columns, and the
profile of the page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from producers.simulator.history import simulate_history
from tests.docs.test_docs import commands
from tests.system.pipeline import ROOT, Pipeline
from tidegate.profile import load_profile

pytestmark = pytest.mark.processes

PAGE = ROOT / "docs/your-own-data.md"
NAMES = {
    "transaction_id": "ref",
    "user_id": "payer",
    "merchant": "payee",
    "amount": "eur",
    "timestamp": "booked_at",
    "device_type": "channel",
    "label": "chargeback",
}
HISTORY, ALL = 28_000, 40_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The profile of the page, and two files that were not made for it."""
    frame = simulate_history(load_profile("card"), ALL, 5)[list(NAMES)].rename(columns=NAMES)
    frame["ref"] = [f"P-{row}" for row in range(len(frame))]
    frame["booked_at"] = frame["booked_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    frame[:HISTORY].to_csv(tmp_path / "history.csv", index=False)
    frame[HISTORY:].to_csv(tmp_path / "june.csv", index=False)
    (profile,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(profile.splitlines()) <= 40
    (tmp_path / "payments.yaml").write_text(profile)
    return tmp_path


def test_the_page_works_from_top_to_bottom(folder: Path) -> None:
    pipeline = Pipeline(
        folder / "var",
        profile="payments.yaml",
        cwd=folder,
        env={"TIDEGATE_TOPICS_FILE": str(ROOT / "topics.yaml")},
    )
    env = {**pipeline.env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    try:
        for command in commands(PAGE):
            if " send " in command:
                pipeline.start()
            here = command.replace("127.0.0.1:5000", f"127.0.0.1:{pipeline.port}").replace(
                "curl -s", "curl -sS -f"
            )
            done = subprocess.run(
                ["bash", "-c", here],
                cwd=folder,
                env=env,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            assert done.returncode == 0, f"$ {here}\n{done.stdout}{done.stderr}"
    finally:
        if pipeline.process is not None:
            pipeline.close()
