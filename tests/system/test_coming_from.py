"""The README example of each of five other projects, answered by a running pipeline."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path
from typing import Any

import pytest

from producers.api.openapi_compat import (
    CARD,
    CREDITCARD,
    LABELLED,
    TRAINING,
    UNSUPERVISED,
    VECTOR,
    WALLET,
)
from producers.simulator.history import simulate_history
from tests.support import eventually
from tests.system.other_projects import started
from tests.system.pipeline import Pipeline
from tidegate.profile import load_profile

pytestmark = pytest.mark.processes


def location(pipeline: Pipeline, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Status and Location of an answer."""
    link = http.client.HTTPConnection("127.0.0.1", pipeline.port, timeout=30)
    raw = json.dumps(body) if body is not None else None
    link.request(method, path, raw, {"Content-Type": "application/json"})
    answer = link.getresponse()
    link.close()
    return answer.status, answer.headers.get("Location", "")


def decided(pipeline: Pipeline, path: str, body: object) -> dict[str, Any]:
    """The answer to a post that comes with its decision; a busy machine may need two."""

    def ask() -> dict[str, Any] | None:
        status, document = pipeline.post(path, body)
        assert status in (200, 202), document
        return document if status == 200 else None

    found = eventually(ask, 60)
    assert found is not None
    return found


def test_kafka_flask_tensorflow(tmp_path: Path) -> None:
    with started(tmp_path, "card") as pipeline:
        status, made = pipeline.post("/transaction", CARD)
        assert (status, made["status"]) == (202, "accepted")
        where = f"/transaction/{made['transaction_id']}"
        assert location(pipeline, "POST", "/transaction", CARD | {"transaction_id": "/a;b."}) == (
            202,
            "/transaction/%2Fa%3Bb.",
        )
        row = eventually(lambda: pipeline.get(where)[1].get("decision") and pipeline.get(where)[1])
        assert (row["status"], row["payload"]["location_match"]) == ("scored", True)
        odd = "/transaction/%2Fa%3Bb."
        assert eventually(lambda: pipeline.get(odd)[1].get("transaction_id")) == "/a;b."
        port = pipeline.env["TIDEGATE_DASHBOARD_PORT"]
        assert location(pipeline, "GET", "/") == (302, f"http://127.0.0.1:{port}/")


def test_wallet_detector(tmp_path: Path) -> None:
    with started(tmp_path, "wallet") as pipeline:
        first = decided(pipeline, "/predict", WALLET)
        assert set(first) == {"is_anomaly", "anomaly_score", "details"}
        assert isinstance(first["is_anomaly"], bool)
        assert isinstance(first["details"]["batch_model_prediction"], bool)
        assert isinstance(first["details"]["online_model_prediction"], bool)
        assert "/predict" in pipeline.get("/openapi.json")[1]["paths"]

        # users whom nobody has seen have the same windows, so that only weights can differ
        asked = iter(range(1000))

        def online() -> float:
            body = {**LABELLED, "user_id": f"new-{next(asked)}"}
            del body["is_anomaly"]
            return float(decided(pipeline, "/predict", body)["details"]["online_model_score"])

        before = online()
        assert online() == before
        status, answer = pipeline.post("/update?wait_ms=10000", LABELLED | {"is_anomaly": 0})
        assert (status, answer["message"]) == (
            200,
            "The online model has learnt from this transaction.",
        )
        assert eventually(lambda: (now := online()) != before and now, 3) < before


def test_card_fraud_platform(tmp_path: Path) -> None:
    with started(tmp_path, "creditcard") as pipeline:
        answer = decided(pipeline, "/predict", CREDITCARD)
        assert set(answer) == {"fraud_probability", "is_fraud", "model_version"}
        assert 0 <= answer["fraud_probability"] <= 1
        assert answer["model_version"] == pipeline.get("/v1/models")[1]["champion"]
        assert pipeline.get("/") == (200, {"status": "healthy", "profile": "creditcard"})


def test_unsupervised_detector(tmp_path: Path) -> None:
    with started(tmp_path, "card_unsupervised") as pipeline:
        answer = decided(pipeline, "/predict", UNSUPERVISED)
        assert answer["transaction_id"] == "TXN_00000001"
        assert (answer["is_anomaly"], answer["risk_level"] in ("low", "medium")) == (False, True)
        odd = UNSUPERVISED | {
            "transaction_id": "odd",
            "amount": 9000,
            "location_distance_km": 8000,
            "transaction_count_1h": 25,
            "time_since_last_transaction_minutes": 0.1,
            "total_amount_24h": 30_000,
            "hour": 3,
        }
        many = [UNSUPERVISED, UNSUPERVISED | {"transaction_id": "bad", "hour": 25}, odd]
        found = decided(pipeline, "/predict/batch", {"transactions": many})
        assert found["total_transactions"] == 3
        assert [one["transaction_id"] for one in found["predictions"]] == [
            "TXN_00000001",
            "bad",
            "odd",
        ]
        assert found["predictions"][0] == answer
        assert found["predictions"][1]["problem"]["status"] == 422
        assert found["predictions"][2]["risk_level"] in ("high", "critical")
        assert found["anomalies_detected"] == 1
        scores = eventually(lambda: pipeline.get("/v1/transactions/odd")[1].get("scores"))
        assert set(scores) == {"isolation_forest", "autoencoder"}
        assert pipeline.get("/health")[0] == 200


def test_stream_detector(tmp_path: Path) -> None:
    with started(tmp_path, "vector") as pipeline:
        answer = decided(pipeline, "/api/v1/detect", VECTOR)
        assert set(answer) >= {"is_anomaly", "score", "model_type", "threshold"}
        assert (answer["model_type"], answer["threshold"]) == ("isolation_forest", 0.1)
        assert answer["is_anomaly"] == (answer["score"] >= 0.1)
        status, problem = pipeline.post("/api/v1/detect", VECTOR | {"model_type": "vae"})
        assert (status, problem["errors"][0]["field"]) == (422, "model_type")
        assert "isolation_forest" in problem["detail"]
        found = {one["model_type"]: one["served"] for one in _models(pipeline)["models"]}
        assert (found["isolation_forest"], found["lstm"], found["vae"]) == (True, False, False)
        assert pipeline.get("/api/v1/health")[0] == pipeline.get("/health")[0] == 200

        text = metrics(pipeline)
        assert "anomaly_detector_events_processed_total 1.0" in text
        assert f"anomaly_detector_anomalies_detected_total {float(answer['is_anomaly'])}" in text
        assert "anomaly_detector_processing_duration_seconds_count 1.0" in text
        accuracy = re.search(r"anomaly_detector_model_accuracy\{bundle=\"\w+\"\} (\S+)", text)
        assert accuracy is not None
        assert 0.9 < float(accuracy[1]) <= 1
        assert (
            'anomaly_detector_model_confidence_score_count{model_type="isolation_forest"}' in text
        )


def _models(pipeline: Pipeline) -> Any:  # noqa: ANN401 - a JSON document
    return pipeline.get("/api/v1/models")[1]


def metrics(pipeline: Pipeline) -> str:
    link = http.client.HTTPConnection("127.0.0.1", pipeline.port, timeout=30)
    link.request("GET", "/api/v1/metrics")
    text = link.getresponse().read().decode()
    link.close()
    return text


def test_stream_detector_trains_on_request(tmp_path: Path) -> None:
    with started(tmp_path, "vector") as pipeline:
        profile = load_profile(pipeline.profile)
        history = simulate_history(profile, 15_000, 2)
        folder = tmp_path / "home" / "data"
        folder.mkdir()
        frame = history.drop(columns="data")
        for place in range(4):
            frame[f"data_{place}"] = [row[place] for row in history["data"]]
        frame.to_csv(folder / "data.csv", index=False)
        before = pipeline.get("/v1/models")[1]["champion"]
        order = TRAINING | {"training_data": "data.csv"}
        parameters = {"contamination": 0.1, "n_estimators": 50, "label": "label"}
        status, job = pipeline.post("/api/v1/models/train", order | {"parameters": parameters})
        assert (status, job["status"]) == (202, "running"), job
        where = f"/api/v1/models/jobs/{job['job_id']}"
        done = eventually(
            lambda: (now := pipeline.get(where)[1])["status"] != "running" and now, 240
        )
        assert done["status"] == "succeeded", done
        listed = {one["bundle"] for one in pipeline.get("/v1/models")[1]["bundles"]}
        assert done["bundle"] in listed
        assert pipeline.get("/v1/models")[1]["champion"] == before, "promoted only on request"
        status, _ = pipeline.post(f"/v1/models/{done['bundle']}/promote", {})
        assert status == 202

        for wrong in ("../tidegate.db", "/etc/passwd", "none.csv", ""):
            status, problem = pipeline.post(
                "/api/v1/models/train", order | {"training_data": wrong}
            )
            assert (status, problem["errors"][0]["field"]) == (422, "training_data")
        assert pipeline.get("/api/v1/models/jobs/none")[0] == 404
