"""The stream detector's paths: detection, models, training on request, metrics."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
from flask import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from db.audit import Act
from model.bundles import catalog
from model.bundles.manifest import read_manifest
from producers.api.compat import vector
from producers.api.compat.bodies import Decision
from producers.api.context import answer, body, here, note, signed
from producers.api.decisions import predicted
from producers.api.problems import Problem, decoded, invalid, unreadable
from producers.api.routes.models import bundle_folder, champion, profile_hash
from producers.api.training import state
from tidegate.errors import ConfigError

JSON = "application/json"
_METRICS = CollectorRegistry()
"""By the names that its dashboards have: of the detections that this worker has answered."""
_EVENTS = Counter("anomaly_detector_events_processed", "Vectors scored", registry=_METRICS)
_ANOMALIES = Counter(
    "anomaly_detector_anomalies_detected", "Of these, anomalies", registry=_METRICS
)
_SECONDS = Histogram(
    "anomaly_detector_processing_duration_seconds",
    "From the request to its decision",
    registry=_METRICS,
)
_CONFIDENCE = Histogram(
    "anomaly_detector_model_confidence_score",
    "Scores that were answered",
    ["model_type"],
    registry=_METRICS,
    buckets=[i / 10 for i in range(1, 11)],
)
_ACCURACY = Gauge(
    "anomaly_detector_model_accuracy",
    "Share of the test slice that the champion decided rightly",
    ["bundle"],
    registry=_METRICS,
)


def detect() -> Response:
    """Score one vector; by a threshold of the caller's, if there is one."""
    raw, settings, start = body(JSON), here().settings, time.perf_counter()
    try:
        asked = vector.question(raw)
    except msgspec.ValidationError as error:
        raise unreadable(error) from error
    asked.model_type = asked.model_type or settings.detect_model
    if asked.threshold is None:
        asked.threshold = settings.detect_threshold
    model = model_of(asked.model_type)

    def prediction(decision: Decision) -> dict[str, Any]:
        found = vector.prediction(decision, asked, model)
        _count(found, time.perf_counter() - start)
        return found

    return predicted(vector.transaction(raw), prediction)


def _count(found: dict[str, Any], seconds: float) -> None:
    _EVENTS.inc()
    _ANOMALIES.inc(bool(found["is_anomaly"]))
    _SECONDS.observe(seconds)
    if found["score"] is not None:
        _CONFIDENCE.labels(found["model_type"]).observe(found["score"])


def model_of(kind: str) -> str:
    """The model that answers for this type. Raises Problem 422, which names those that do."""
    served = vector.served(here().profile.models.names)
    if kind not in served:
        raise invalid("model_type", f"{kind} is not served; there are {', '.join(served)}")
    return served[kind]


def models() -> Response:
    """The types that can be asked for, those that could be, and the bundles."""
    context = here()
    served = vector.served(context.profile.models.names)
    current = champion()
    return answer(
        {
            "models": [
                {"model_type": kind, "model": served.get(kind), "served": kind in served}
                for kind in sorted({*served, *vector.MODEL_TYPES})
            ],
            "champion": current,
            "bundles": catalog.listing(bundle_folder(), current or "", profile_hash()),
        }
    )


def metrics() -> Response:
    """Prometheus text under its names."""
    _ACCURACY.clear()
    current = champion()
    if current:
        try:
            accuracy = vector.accuracy(read_manifest(bundle_folder() / current).metrics)
        except (ConfigError, Problem):  # the bundle is elsewhere: its accuracy is not known here
            accuracy = None
        if accuracy is not None:
            _ACCURACY.labels(current).set(accuracy)
    return Response(generate_latest(_METRICS), content_type=CONTENT_TYPE_LATEST)


def train() -> Response:
    """Train on a file below the allowed folder; 202 and where to ask how it goes."""
    order = decoded(body(JSON), vector.Order)
    model = model_of(order.model_type)
    try:
        options = vector.options(model, order.parameters)
    except ValueError as error:
        raise invalid(
            f"parameters.{error}",
            "it, or this value of it, is not known; there are contamination (above 0, below 0.5), "
            "label (a column), and for one model_type n_estimators, max_samples, epochs, hidden, "
            "code (whole numbers)",
        ) from error
    file = _training_file(order.training_data)
    note(Act(signed("api"), "train", order.model_type, {"training_data": order.training_data}))
    job = here().trainings.start(order.model_type, "train", ["--history", str(file), *options])
    if job is None:
        raise Problem("too_many_requests", "another training is running")
    return answer(state(job), 202, f"/api/v1/models/jobs/{job.id}")


def _training_file(name: str) -> Path:
    """A file below the allowed folder. Raises Problem 422."""
    folder = here().settings.training_data.resolve()
    try:
        file = (folder / name).resolve()
        inside = file.is_relative_to(folder) and file.is_file()
    except (ValueError, OSError):
        inside = False
    if not inside:
        raise invalid("training_data", "no file below the folder that TIDEGATE_TRAINING_DATA names")
    return file


def job(job: str) -> Response:
    """How a training goes, or what came of it."""
    found = here().trainings.get(job)
    if found is None:
        raise Problem("not_found", f"no training {job} since this process began")
    return answer(state(found))
