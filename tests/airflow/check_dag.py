"""The weekly DAG, loaded and run by a real Airflow against a running Tidegate. Run by `make
airflow-test`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.simulator.history import simulate_history
from tests.support import eventually
from tests.system.pipeline import ROOT, Pipeline
from tidegate.profile import load_profile

AIRFLOW = ROOT / ".venv-airflow" / "bin" / "airflow"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path_factory.mktemp("airflow") / "home", env={"TIDEGATE_RETRAIN_PSI": "10"})
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def airflow(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow with a database of its own, whose worker calls this
    Tidegate.
    """
    env = {
        **pipeline.env,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow-home")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "deploy" / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "TIDEGATE_COMMAND": f"cd {ROOT} && {sys.executable} -m cli",
    }
    said(env, "db", "migrate")
    return env


def said(env: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [AIRFLOW, *arguments], env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_loads(airflow: dict[str, str]) -> None:
    listed = json.loads(
        said(airflow, "dags", "list", "--local", "--output", "json").splitlines()[-1]
    )  # after warnings
    assert [dag["dag_id"] for dag in listed] == ["tidegate_retrain"]


def test_a_run_retrains(airflow: dict[str, str], pipeline: Pipeline, tmp_path: Path) -> None:
    history = simulate_history(load_profile("card"), 20_000, seed=4)
    history.drop(columns="label").to_parquet(tmp_path / "rows.parquet")
    assert pipeline.run("send", str(tmp_path / "rows.parquet"), timeout=300).returncode == 0
    verdicts = [
        {
            "transaction_id": name,
            "verdict": "fraud" if fraud else "legitimate",
            "label_id": f"l-{name}",
        }
        for name, fraud in zip(history["transaction_id"], history["label"], strict=True)
    ]
    for start in range(0, len(verdicts), 5000):
        assert pipeline.post("/v1/feedback", verdicts[start : start + 5000])[0] == 202
    eventually(lambda: pipeline.processed("learn") == len(verdicts), 120, every=1.0)
    output = said(airflow, "dags", "test", "tidegate_retrain", "2026-11-22")
    assert "state=success" in output.lower(), output[-3000:]
    (report,) = (pipeline.home / "retrain").glob("*.json")
    assert json.loads(report.read_text())["outcome"] in ("promoted", "kept")
