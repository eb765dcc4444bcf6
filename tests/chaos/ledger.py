"""What was sent and acknowledged, as one file of JSON lines: all that the checker knows of the
load.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Place = tuple[int, int]
"""Partition and offset."""


def digest(value: bytes | None) -> str:
    return hashlib.sha256(value or b"").hexdigest()[:24]


class Ledger:
    """Written by the load while it runs; each line is complete or not there."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def note(self, kind: str, **fields: object) -> None:
        with self._lock:
            self._file.write(json.dumps({"kind": kind, **fields}) + "\n")

    def close(self) -> None:
        self._file.close()


@dataclass
class Sent:
    """The file, read again.

    `transactions`: the acknowledged bodies by id; `placed`: what a producer of our own put where on
    the raw topic, as a digest; `bad`: digests of what must be refused; `verdicts`: the acknowledged
    ones by label id, as transaction and whether it is fraud.
    """

    transactions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    placed: dict[Place, str] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    verdicts: dict[str, tuple[str, bool]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Sent:
        sent = cls()
        for line in path.read_text().splitlines():
            sent._take(json.loads(line))
        return sent

    def _take(self, note: dict[str, Any]) -> None:
        match note["kind"]:
            case "posted":
                self.transactions.setdefault(note["id"], []).append(note["body"])
            case "placed":
                self.placed[note["partition"], note["offset"]] = note["digest"]
            case "bad":
                self.bad.add(note["digest"])
            case "verdict":
                self.verdicts[note["label_id"]] = note["transaction_id"], note["fraud"]
