"""Profile mlflow: a training becomes a run on a real MLflow server on PostgreSQL. Run by `make
compose-test`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compose.stack import Stack
from tests.support import ask
from tidegate.host.embedded import free_port

TRAIN = ("train", "--profile", "card", "--samples", "20000", "--json")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def stack(port: int) -> Iterator[Stack]:
    made = Stack(
        "tidegate-mlflow",
        profiles=("mlflow",),
        env={"MLFLOW_PORT": str(port), "TIDEGATE_MLFLOW": "http://mlflow:5000"},
    )
    made.compose("build", "mlflow", "setup", timeout=1200)
    made.compose("up", "-d", "--no-build", "--wait", "mlflow")
    yield made
    made.down(volumes=True)


def asked(port: int, method: str, **document: object) -> Any:  # noqa: ANN401 - a JSON document
    status, answer = ask("POST", port, f"/api/2.0/mlflow/{method}", json.dumps(document).encode())
    assert status == 200, answer
    return answer


def test_a_training_is_a_run_with_its_bundle(
    stack: Stack, port: int, summary: dict[str, str]
) -> None:
    bundle = json.loads(stack.tools(*TRAIN))
    (experiment,) = [
        found
        for found in asked(port, "experiments/search", max_results=10)["experiments"]
        if found["name"] == "tidegate-card"
    ]
    (run,) = asked(port, "runs/search", experiment_ids=[experiment["experiment_id"]])["runs"]
    metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    parameters = {parameter["key"]: parameter["value"] for parameter in run["data"]["params"]}
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert (run["info"]["status"], tags["bundle"]) == ("FINISHED", bundle["bundle"])
    assert metrics == pytest.approx(bundle["metrics"])
    assert (parameters["profile"], parameters["history"]) == ("card", "simulate 20000")
    _, kept = stack.get(f"/api/2.0/mlflow/artifacts/list?run_id={run['info']['run_id']}", port)
    files = {file["path"]: int(file["file_size"]) for file in kept["files"] if not file["is_dir"]}
    _, drawn = stack.get(
        f"/api/2.0/mlflow/artifacts/list?run_id={run['info']['run_id']}&path=plots", port
    )
    plots = {file["path"]: int(file["file_size"]) for file in drawn["files"]}
    assert {"manifest.json", "ensemble.json"} <= set(files)
    assert set(plots) == {"plots/precision-recall.png", "plots/roc.png", "plots/calibration.png"}
    assert all(size for size in [*files.values(), *plots.values()])
    summary["mlflow"] = (
        f"a run with {len(metrics)} metrics, {len(parameters)} parameters, {len(files)} files and "
        f"{len(plots)} plots"
    )
