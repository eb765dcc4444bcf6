"""What a retraining leaves: a report on disk, a word to whoever asked for it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tidegate.errors import Retry
from tidegate.http import ask
from tidegate.messages.findings import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from model.training.retrain import RetrainingReport

EXITS = {"promoted": 0, "kept": 3, "bad_data": 65}
"""65 is sysexits.h EX_DATAERR."""
_LOG = logging.getLogger(__name__)


def write(folder: Path, report: RetrainingReport) -> Path:
    """The report as JSON in a new file named by its start."""
    moment = datetime.fromtimestamp(report.started_us / 1e6, UTC)
    path = folder / f"{moment:%Y%m%dT%H%M%S.%fZ}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    return path


def headline(report: RetrainingReport) -> str:
    """The outcome in a sentence."""
    stays = f"{report.champion} stays the champion"
    outcomes = {
        "promoted": f"{report.challenger} is the champion now, it was {report.champion}",
        "kept": stays,
        "bad_data": f"bad data; {stays}",
    }
    return f"{report.profile}: {outcomes[report.outcome]}: {report.why}"


def finding(report: RetrainingReport, profile: str) -> Finding:
    """A retraining's outcome as it is told; `profile` is the profile's hash."""
    good = report.outcome != "bad_data"
    at_us = report.started_us + int(report.seconds * 1_000_000)
    return Finding("retrained", profile, at_us, good, f"Retraining: {headline(report)}")


def tell(url: str, report: RetrainingReport) -> None:
    """POST the outcome to `url`, if there is one: `text` for people, and the report.

    A receiver that is away is logged: what was done stays done. Raises ConfigError for what is no
    HTTP address.
    """
    if not url:
        return
    try:
        body = msgspec.json.encode({"text": headline(report), "report": report})
        status = ask("TIDEGATE_WEBHOOK", "POST", url, body).status
    except Retry as error:
        _LOG.warning("the outcome is not told: %s", error)
    else:
        if status >= 300:
            _LOG.warning("the webhook answered %d", status)
