"""What the tests of `send` share: posting a file, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model.files.reader import Reader
from producers.files.send import send
from producers.files.sending import Options
from producers.files.sent import Sent
from tests.producers.running_api import Api
from tidegate.client import Client
from tidegate.pipeline import RAW
from tidegate.profile import Profile


def raw_ids(api: Api, profile: Profile) -> list[str]:
    return [
        str(profile.id_of(profile.decode(record.value or b"")))
        for _, _, record in api.broker.committed_records(RAW)
    ]


def post(api: Api, profile: Profile, file: Path, home: Path, **options: float | Path) -> Sent:
    return send(
        Reader(str(file), profile),
        Client(api.url, patience=20),
        home,
        Options(batch=300, **options),  # type: ignore[arg-type] - each test its own
    )


def few(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows, each with what is said of it, and otherwise equal."""
    good = {
        "user_id": "u1",
        "amount": 5,
        "merchant": "m",
        "timestamp": "2026-03-01T10:00:00Z",
        "merchant_type": "grocery",
        "device_type": "pos",
        "location_match": True,
    }
    path.write_text("".join(json.dumps({**good, **row}) + "\n" for row in rows))
    return path
