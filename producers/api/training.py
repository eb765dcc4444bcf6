"""How a training that was asked for over HTTP goes, as its document says it."""

from __future__ import annotations

from typing import Any

from tidegate.host.trainings import Training


def state(job: Training) -> dict[str, Any]:
    """Its progress, and its outcome: the bundle, or why there is none."""
    share, step = job.progress()
    document: dict[str, Any] = {"job_id": job.id, "model_type": job.label}
    if not job.done.is_set():
        return document | {"status": "running", "progress": share, "message": step}
    if job.code == 0 and job.bundle:
        return document | {
            "status": "succeeded",
            "progress": 1.0,
            "bundle": job.bundle,
            "message": f"promote it by POST /v1/models/{job.bundle}/promote",
        }
    return document | {"status": "failed", "progress": share, "message": job.last_words()}
