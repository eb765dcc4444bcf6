"""A file sent as one piece of work: what is under way, and at the end what became of each row."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from model.files.reader import Reader
from producers.files.results import Look, Summary, refused_rows, write_results
from producers.files.send import send
from producers.files.sending import Options
from tidegate.broker.ports import Broker
from tidegate.client import Client

STATE, SUMMARY, REJECTED = "state.json", "summary.json", "rejected"
_SECONDS = 0.5
"""Between two notes of the progress."""


class Noted:
    """Writes the progress into the folder, at most twice a second, so that others can follow it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = folder / STATE, clock
        self._phase, self._next = "", 0.0

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Note it: `phase` is read, posted, settled or results."""
        now = self._clock()
        if phase != self._phase or now >= self._next:
            self._phase, self._next = phase, now + _SECONDS
            replace(self._path, {"phase": phase, "done": done, "total": total})


def replace(path: Path, document: object) -> None:
    """Write JSON so that a reader finds the old one or the new one, never a part."""
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(document))
    part.replace(path)


def run(
    reader: Reader,
    client: Client,
    home: Path,
    folder: Path,
    most_refused: float,
    *,
    broker: Broker,
    existing: Callable[..., set[str]],
    look: Look,
    log: str,
    began_us: int,
) -> Summary | None:
    """Send the file, wait until all is decided, and write the results into `folder`.

    None if it was stopped: then the same call goes on. Raises as `send` does.
    """
    noted = Noted(folder)
    kind = "jsonl" if reader.is_json else "csv"
    rejects = folder / f"{REJECTED}.{kind}"
    options = Options(most_refused=most_refused, rejects=rejects)
    sent = send(
        reader,
        client,
        home,
        options,
        broker=broker,
        existing=existing,
        log=log,
        progress=noted,
    )
    if client.stop.is_set():
        return None
    summary = write_results(
        reader,
        folder,
        refused_rows(rejects),
        look,
        began_us,
        lambda rows: noted("results", rows, sent.read),
    )
    document: dict[str, Any] = {
        **msgspec.to_builtins(summary),
        "remarks": sent.remarks,
        "unknown_columns": sent.unknown_columns,
        "seconds": sent.seconds,
    }
    replace(folder / SUMMARY, document)
    return summary
