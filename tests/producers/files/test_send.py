"""`send` through the real API: each row posted once in effect, whatever fails in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from model.history.readers import Source
from producers.client import Client
from producers.files.journal import Rejection, Sent
from producers.files.send import Sender, send
from producers.simulator.history import simulate_history
from tests.producers.running_api import Api, serve
from tests.support import eventually
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import Retry, TidegateError
from tidegate.pipeline import DLQ, RAW
from tidegate.profile import Profile, load_profile
from tidegate.stream.dead_letters import dead_letters
from tidegate.stream.stage import Reject


@pytest.fixture
def profile() -> Profile:
    return load_profile("card")


@pytest.fixture
def api(profile: Profile, tmp_path: Path) -> Iterator[Api]:
    with serve(profile, tmp_path) as api:
        yield api


@pytest.fixture
def file(profile: Profile, tmp_path: Path) -> Path:
    path = tmp_path / "history.parquet"
    simulate_history(profile, 2000, 4).to_parquet(path)
    return path


def raw_ids(api: Api, profile: Profile) -> list[str]:
    return [
        str(profile.id_of(profile.decode(record.value or b"")))
        for _, _, record in api.broker.committed_records(RAW)
    ]


def post(api: Api, profile: Profile, file: Path, home: Path, **options: float) -> Sent:
    return send(Source(file, profile), Client(api.url, patience=20), home, batch=300, **options)  # type: ignore[arg-type]


def test_all_rows_are_posted_once(api: Api, profile: Profile, file: Path, tmp_path: Path) -> None:
    sent = post(api, profile, file, tmp_path)
    assert (sent.posted, sent.accepted, sent.rejected, sent.rows) == (2000, 2000, 0, None)
    assert len(raw_ids(api, profile)) == len(set(raw_ids(api, profile))) == 2000
    assert post(api, profile, file, tmp_path).posted == 0, "the journal knows that all is sent"
    assert post(api, profile, file, tmp_path, restart=True).posted == 2000
    assert len(set(raw_ids(api, profile))) == 2000


def test_limit_then_the_rest(api: Api, profile: Profile, file: Path, tmp_path: Path) -> None:
    assert post(api, profile, file, tmp_path, limit=450).posted == 450
    rest = post(api, profile, file, tmp_path)
    assert (rest.resumed_at, rest.posted) == (450, 1550)
    assert len(raw_ids(api, profile)) == 2000


@pytest.mark.parametrize("fault", ["503", "drop before", "drop after"])
def test_failures_are_tried_again_with_the_same_ids(
    api: Api, profile: Profile, file: Path, tmp_path: Path, fault: str
) -> None:
    api.faults += ["", fault, fault, "", fault]
    assert post(api, profile, file, tmp_path).accepted == 2000
    assert api.posts > 7
    assert len(raw_ids(api, profile)) == len(set(raw_ids(api, profile))) == 2000


def test_stopped_and_resumed(api: Api, profile: Profile, file: Path, tmp_path: Path) -> None:
    client = Client(api.url)

    def progress(posted: int, _settled: int) -> None:
        if posted >= 900:
            client.stop.set()

    first = send(Source(file, profile), client, tmp_path, batch=300, progress=progress)
    assert first.posted == 900
    assert post(api, profile, file, tmp_path).posted == 1100
    assert len(raw_ids(api, profile)) == 2000


def test_killed_between_post_and_journal(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    sender = Sender(Source(file, profile), Client(api.url), tmp_path, batch=300)

    def die(posted: int, _settled: int) -> None:
        if posted >= 1200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sender.run(None, die)
    again = post(api, profile, file, tmp_path)
    assert again.resumed_at < 1200
    assert sorted(set(raw_ids(api, profile))) == sorted(
        simulate_history(profile, 2000, 4)["transaction_id"]
    )


def test_refused_rows_are_named_and_the_others_go_on(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    history = simulate_history(profile, 700, 4).astype({"location_match": object})
    history.loc[0, "amount"] = -5.0
    history.loc[421, "location_match"] = "perhaps"
    path = tmp_path / "bad.csv"
    history.to_csv(path, index=False)
    sent = post(api, profile, path, tmp_path)
    assert (sent.accepted, sent.rejected) == (698, 2)
    assert [(one.row, one.reason) for one in sent.first_rejections] == [
        (1, "out_of_bounds"),
        (422, "wrong_type"),
    ]
    assert "location_match" in sent.first_rejections[1].detail
    told = [
        msgspec.json.decode(line, type=Rejection)
        for line in Path(sent.rejections_file).read_bytes().splitlines()
    ]
    assert [one.row for one in told] == [1, 422]
    assert post(api, profile, path, tmp_path).rejected == 2, "a second run still tells of them"


def test_a_file_with_a_header_only_is_refused(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "empty.csv"
    simulate_history(profile, 10, 4).head(0).to_csv(path, index=False)
    with pytest.raises(TidegateError, match=r"empty\.csv has no rows: nothing was sent"):
        post(api, profile, path, tmp_path)
    assert post(api, profile, file, tmp_path, limit=10).remarks == []


def test_made_up_ids_and_times_in_1970_are_told(api: Api, profile: Profile, tmp_path: Path) -> None:
    history = simulate_history(profile, 500, 4).astype({"transaction_id": object})
    history.loc[:99, "transaction_id"] = None
    history["timestamp"] = range(500)
    path = tmp_path / "strange.csv"
    history.to_csv(path, index=False)
    ids, times = post(api, profile, path, tmp_path).remarks
    assert ids.startswith("100 of 500 rows have no transaction_id: their ids are made of the file")
    assert times.startswith("500 of 500 rows have a timestamp in 1970: a number is taken for seco")


def test_it_paces(api: Api, profile: Profile, file: Path, tmp_path: Path) -> None:
    begin = time.monotonic()
    post(api, profile, file, tmp_path, rate=1000, limit=1000)
    assert 0.7 < time.monotonic() - begin < 4


def test_what_never_becomes_a_row_is_told(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(Retry, match="2,000 of 2,000 are neither rows nor dead letters"):
        send(
            Source(file, profile),
            Client(api.url),
            tmp_path,
            broker=api.broker,
            existing=lambda _ids: set(),
            patience=0.5,
        )


def test_another_database_behind_the_address_is_sent_all(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    for place, posted in (("a", 2000), ("a", 0), ("b", 2000)):
        assert send(Source(file, profile), Client(api.url), tmp_path, place=place).posted == posted


def test_nobody_there(profile: Profile, file: Path, tmp_path: Path) -> None:
    with pytest.raises(Retry, match="does not take"):
        send(Source(file, profile), Client("http://127.0.0.1:9", patience=0.3), tmp_path)


def test_an_answer_that_is_no_ingest_api(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(TidegateError, match="404"):
        send(Source(file, profile), Client(f"{api.url}/elsewhere"), tmp_path)


def test_it_waits_until_all_are_rows_or_dead_letters(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    rows: set[str] = set()
    result: list[Sent] = []

    def run() -> None:
        result.append(
            send(
                Source(file, profile),
                Client(api.url),
                tmp_path,
                broker=api.broker,
                existing=lambda ids: rows.intersection(ids),
                batch=500,
            )
        )

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: len(raw_ids(api, profile)) == 2000)
    records = api.broker.committed_records(RAW)
    rows.update(raw_ids(api, profile)[3:])
    for place, offset, record in (
        records[:3] + records[:1]
    ):  # a crash made a copy of the first dead letter
        batch = Batch(place, [offset], [record.key], [record.value], [0], [None])
        emit = dead_letters("preprocess", profile.hash, batch, [Reject(0, "test", "for a test")], 0)
        assert thread.is_alive()
        api.broker.producer().produce(
            emit.topic, emit.keys[0], emit.values[0], lambda _: None, (emit.headers or [])[0]
        )
    thread.join(20)
    assert (result[0].rows, result[0].dead_letters, result[0].distinct) == (1997, 3, 2000)
    again = send(
        Source(file, profile),
        Client(api.url),
        tmp_path,
        broker=api.broker,
        existing=lambda ids: rows.intersection(ids),
    )
    assert (again.posted, again.rows, again.dead_letters) == (0, 1997, 3), (
        "the journal knows where they begin"
    )
    assert (
        TopicPartition(DLQ, 0) in Sender(Source(file, profile), Client(api.url), tmp_path).dlq_since
    )
