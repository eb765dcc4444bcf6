"""A file's rows in the order of their times, however the file has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.files.reader import Reader
from model.files.sifting import sift
from producers.files import time_order
from producers.files.first_reading import FirstReading
from producers.files.outgoing import first_rows, outgoing
from producers.files.send import send
from producers.files.sending import Options
from producers.files.time_order import in_time_order
from tests.producers.running_api import Api, serve
from tidegate.client import Client
from tidegate.pipeline import RAW
from tidegate.profile import load_profile

CARD = load_profile("card")
START = datetime(2026, 3, 1, 6, tzinfo=UTC)


def read(path: Path) -> Reader:
    return Reader(str(path), CARD)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serve(CARD, tmp_path) as api:
        yield api


def write(folder: Path, minutes: list[int | None]) -> Path:
    """Rows of so many minutes after `START`; None: a time that is none."""
    path = folder / "rows.jsonl"
    rows = [
        {
            "user_id": f"u{number % 3}",
            "amount": number + 1,
            "merchant": "m",
            "timestamp": "soon"
            if minute is None
            else (START + timedelta(minutes=minute)).isoformat(),
            "merchant_type": "grocery",
            "device_type": "pos",
            "location_match": True,
        }
        for number, minute in enumerate(minutes)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    minutes=st.lists(st.none() | st.integers(0, 30), min_size=1, max_size=60),
    limit=st.integers(0, 70),
)
def test_any_order_becomes_that_of_time(
    tmp_path: Path, minutes: list[int | None], limit: int
) -> None:
    """Whatever fits into memory: here two rows, and three runs that are open at once."""
    path = write(tmp_path, minutes)
    rows = [outgoing(some, sift(CARD, some)) for some in first_rows(read(path), 9, limit)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_order, "RUN_BYTES", 400)
        patch.setattr(time_order, "_MOST_RUNS", 3)
        chunks = list(in_time_order(rows, tmp_path, 7))
    known = [
        (minute, row) for row, minute in enumerate(minutes[: limit or None]) if minute is not None
    ]
    expected = [row for _, row in sorted(known)]
    assert [number - 1 for chunk in chunks for number in chunk.numbers] == expected
    amounts = [json.loads(line)["amount"] - 1 for chunk in chunks for line in chunk.lines]
    assert amounts == expected
    named = [
        (name, json.loads(line)["transaction_id"])
        for chunk in chunks
        for name, line in zip(chunk.ids, chunk.lines, strict=True)
    ]
    assert all(name == told for name, told in named), "an id is its row's"
    assert not list(tmp_path.glob("sort-*"))


def test_what_is_older_and_by_how_much(tmp_path: Path) -> None:
    for limit, counts in ((0, (6, 3, 1)), (2, (2, 0, 0))):
        look = FirstReading(CARD)
        for rows in first_rows(read(write(tmp_path, [0, 9, 5, 4, 3, 20])), 2, limit):
            look.add(rows, sift(CARD, rows))
        assert (look.rows, look.older, look.far_older) == counts


def sent(api: Api) -> list[int]:
    records = [record for _, _, record in api.broker.committed_records(RAW)]
    records.sort(key=lambda record: record.timestamp)
    return [int(json.loads(record.value or b"")["amount"]) - 1 for record in records]


def test_a_file_newest_first_is_sent_oldest_first(api: Api, tmp_path: Path) -> None:
    file = write(tmp_path, [*range(50, 0, -1), None])
    result = send(read(file), Client(api.url), tmp_path, Options(batch=8))
    assert sent(api) == list(range(49, -1, -1))
    assert (result.posted, result.accepted, result.rejected) == (50, 50, 1)
    assert result.first_rejections[0].row == 51, "the row of the file"
    assert result.remarks[0] == "49 of 51 rows were older than one before: sent in time order"
    assert send(read(file), Client(api.url), tmp_path, Options(batch=8)).posted == 0


def test_as_it_is_says_what_goes_back(api: Api, tmp_path: Path) -> None:
    file = write(tmp_path, [*range(20, 0, -1)])
    result = send(read(file), Client(api.url), tmp_path, Options(batch=8, as_is=True))
    assert sent(api) == list(range(20))
    assert result.remarks[0].startswith("14 of 20 rows go back in time by more than 300 s")


def test_stopped_in_the_middle_it_goes_on_in_its_order(api: Api, tmp_path: Path) -> None:
    file, client = write(tmp_path, [*range(50, 0, -1)]), Client(api.url)

    def progress(what: str, done: int, _total: int | None) -> None:
        if what == "posted" and done >= 16:
            client.stop.set()

    send(read(file), client, tmp_path, Options(batch=8), progress=progress)
    rest = send(read(file), Client(api.url), tmp_path, Options(batch=8))
    assert (rest.acknowledged_before, rest.posted) == (16, 34)
    assert sent(api) == list(range(49, -1, -1))
