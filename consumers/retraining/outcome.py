"""What a retraining leaves: a report on disk, a word to whoever asked for it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tidegate.errors import Retry
from tidegate.http import ask

if TYPE_CHECKING:
    from pathlib import Path

    from model.training.retrain import RetrainingReport

EXITS = {"promoted": 0, "kept": 3, "bad_data": 65}
"""65 is sysexits.h EX_DATAERR."""
_LOG = logging.getLogger(__name__)


def write(folder: Path, found: RetrainingReport) -> Path:
    """The report as JSON in a new file named by its start."""
    moment = datetime.fromtimestamp(found.started_us / 1e6, UTC)
    path = folder / f"{moment:%Y%m%dT%H%M%S.%fZ}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    return path


def headline(found: RetrainingReport) -> str:
    """The outcome in a sentence."""
    stays = f"{found.champion} stays the champion"
    said = {
        "promoted": f"{found.challenger} is the champion now, it was {found.champion}",
        "kept": stays,
        "bad_data": f"bad data; {stays}",
    }
    return f"{found.profile}: {said[found.outcome]}: {found.why}"


def tell(url: str, found: RetrainingReport) -> None:
    """POST the outcome to `url`, if there is one: `text` for people (chats take it), and the
    report.

    A receiver that is away is logged: what was done stays done. Raises ConfigError for what is no
    HTTP address.
    """
    if not url:
        return
    try:
        said = msgspec.json.encode({"text": headline(found), "report": found})
        status = ask("TIDEGATE_WEBHOOK", "POST", url, said).status
    except Retry as error:
        _LOG.warning("the outcome is not told: %s", error)
    else:
        if status >= 300:
            _LOG.warning("the webhook answered %d", status)
