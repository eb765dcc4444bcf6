"""What a retraining leaves: a report on disk, a table for people, a word to whoever asked for it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import typer

from tidegate.cli.common import print_json
from tidegate.cli.web import ask
from tidegate.errors import Retry

if TYPE_CHECKING:
    from pathlib import Path

    from model.retrain import Report

_LOG = logging.getLogger(__name__)
_METRICS = ("average_precision", "auc", "precision_top_1", "recall_top_1", "calibration_error")


def write(folder: Path, found: Report) -> Path:
    """The report as JSON in a new file named by its start."""
    moment = datetime.fromtimestamp(found.started_us / 1e6, UTC)
    path = folder / f"{moment:%Y%m%dT%H%M%S.%fZ}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    return path


def headline(found: Report) -> str:
    """The outcome in a sentence."""
    stays = f"{found.champion} stays the champion"
    said = {"promoted": f"{found.challenger} is the champion now, it was {found.champion}", "kept": stays,
            "bad_data": f"bad data; {stays}"}
    return f"{found.profile}: {said[found.outcome]}: {found.why}"


def tell(url: str, found: Report) -> None:
    """POST the outcome to `url`, if there is one: `text` for people (chats take it), and the report.

    A receiver that is away is logged: what was done stays done. Raises ConfigError for what is no HTTP address.
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


def show(found: Report, path: Path, as_json: bool) -> None:
    """The report for people, or for a script."""
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    for check in found.checks:
        typer.echo(f"{'ok ' if check.ok else 'BAD'} {check.name:<24}{check.found}; {check.limit}")
    moved = ", ".join(f"{name} {value:.2f}" for name, value in list(found.drift.items())[:5])
    if moved:
        typer.echo(f"    {'moved most (PSI)':<24}{moved}")
    if found.difference:
        typer.echo(f"    {'':<24}{'champion':>10}{'challenger':>12}")
        for name in (name for name in _METRICS if name in found.challenger_metrics):
            typer.echo(f"    {name:<24}{found.champion_metrics[name]:>10.3f}{found.challenger_metrics[name]:>12.3f}")
    typer.echo(f"{headline(found)}\nreport in {path}, {found.seconds:.0f} s")
