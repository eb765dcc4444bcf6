"""`send` through the real API: each row posted once in effect, whatever fails in between."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from model.files.reader import Reader
from producers.files.send import send
from producers.files.sending import Options
from producers.files.sent import Sent
from producers.simulator.history import simulate_history
from tests.producers.files.sending import few, post, raw_ids
from tests.producers.running_api import Api, serve
from tests.support import eventually
from tidegate.broker.records import Batch
from tidegate.client import Client
from tidegate.errors import Retry, TidegateError
from tidegate.pipeline import RAW
from tidegate.profile import Profile, load_profile
from tidegate.stream.dead_letters import dead_letters
from tidegate.stream.stage import Reject

pytestmark = pytest.mark.long


@pytest.fixture
def file(profile: Profile, tmp_path: Path) -> Path:
    path = tmp_path / "history.parquet"
    simulate_history(profile, 2000, 4).to_parquet(path)
    return path


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
    assert (rest.acknowledged_before, rest.posted) == (450, 1550)
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

    def progress(what: str, done: int, _total: int | None) -> None:
        if what == "posted" and done >= 900:
            client.stop.set()

    first = send(
        Reader(str(file), profile), client, tmp_path, Options(batch=300), progress=progress
    )
    assert first.posted == 900
    assert post(api, profile, file, tmp_path).posted == 1100
    assert len(raw_ids(api, profile)) == 2000


def test_killed_between_post_and_journal(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    def die(what: str, done: int, _total: int | None) -> None:
        if what == "posted" and done >= 1200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(
            Reader(str(file), profile), Client(api.url), tmp_path, Options(batch=300), progress=die
        )
    (newest,) = (tmp_path / "send").glob("log-*/newest")
    newest.write_bytes(newest.read_bytes()[: -8 * 300 - 3])
    again = post(api, profile, file, tmp_path)
    assert (again.acknowledged_before, again.posted) == (899, 1101)
    assert sorted(set(raw_ids(api, profile))) == sorted(
        simulate_history(profile, 2000, 4)["transaction_id"]
    )


def test_a_file_that_has_grown_posts_what_is_new(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    """Rows without ids, some of which say the same; the newest stand first."""
    old = [{"amount": amount} for amount in (1, 2, 2, 3)]
    new = [{"amount": amount} for amount in (2, 4)]
    assert post(api, profile, few(tmp_path / "a.jsonl", old), tmp_path).posted == 4
    grown = post(api, profile, few(tmp_path / "b.jsonl", [*new, *old]), tmp_path)
    assert (grown.acknowledged_before, grown.posted) == (4, 2)
    ids = raw_ids(api, profile)
    assert len(ids) == len(set(ids)) == 6
    assert sorted(name.partition("-")[2] for name in ids) == ["1", "1", "1", "1", "2", "3"]


def test_a_changed_profile_makes_no_second_transactions_of_rows_without_ids(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    history = simulate_history(profile, 30, 4).drop(columns="transaction_id")
    history["note"] = "n"
    file, changed = tmp_path / "rows.csv", tmp_path / "card.yaml"
    history.to_csv(file, index=False)
    note = "fields:\n  note: {type: string, optional: true, ignored: true}\n"
    changed.write_text(profile.path.read_text().replace("fields:\n", note))
    assert post(api, profile, file, tmp_path, limit=20).posted == 20
    assert post(api, profile, file, tmp_path).posted == 10
    with pytest.raises(TidegateError, match="of the 30 rows that were sent from it 30 are read"):
        post(api, load_profile(changed), file, tmp_path)
    assert post(api, profile, file, tmp_path).posted == 0
    assert len(raw_ids(api, profile)) == 30


def test_a_file_with_a_header_only_is_refused(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "empty.csv"
    simulate_history(profile, 10, 4).head(0).to_csv(path, index=False)
    with pytest.raises(TidegateError, match=r"empty\.csv has no rows: nothing was sent"):
        post(api, profile, path, tmp_path)
    assert post(api, profile, file, tmp_path, limit=10).remarks == []


def test_made_up_ids_and_times_in_1970_are_told(profile: Profile, tmp_path: Path) -> None:
    history = simulate_history(profile, 500, 4).astype({"transaction_id": object})
    history.loc[:99, "transaction_id"] = None
    history["timestamp"] = range(157_766_400, 157_766_900)
    path, early = tmp_path / "strange.csv", tmp_path / "card.yaml"
    history.to_csv(path, index=False)
    early.write_text(profile.path.read_text().replace(", not_before: 2000-01-01", ""))
    with serve(load_profile(early), tmp_path) as api:
        times, ids = post(api, load_profile(early), path, tmp_path).remarks
    assert ids.startswith("100 of 500 rows have no transaction_id: their ids are made of what each")
    assert times.startswith("500 of 500 times lie before the year 2000 (the first is of 1975-")


def test_it_paces(api: Api, profile: Profile, file: Path, tmp_path: Path) -> None:
    begin = time.monotonic()
    post(api, profile, file, tmp_path, rate=1000, limit=1000)
    assert 0.7 < time.monotonic() - begin < 4


def test_what_never_becomes_a_row_is_told(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(Retry, match="2,000 of 2,000 are neither rows nor dead letters"):
        send(
            Reader(str(file), profile),
            Client(api.url),
            tmp_path,
            Options(patience=0.5),
            broker=api.broker,
            existing=lambda _ids: set(),
        )


def test_another_kafka_behind_the_address_is_sent_all(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    for log, posted in (("a", 2000), ("a", 0), ("b", 2000), ("a", 0)):
        reader = Reader(str(file), profile)
        assert send(reader, Client(api.url), tmp_path, log=log).posted == posted


def test_nobody_there(profile: Profile, file: Path, tmp_path: Path) -> None:
    with pytest.raises(Retry, match="does not take"):
        send(Reader(str(file), profile), Client("http://127.0.0.1:9", patience=0.3), tmp_path)


def test_an_answer_that_is_no_ingest_api(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(TidegateError, match="404"):
        send(Reader(str(file), profile), Client(f"{api.url}/elsewhere"), tmp_path)


def test_it_waits_until_all_are_rows_or_dead_letters(
    api: Api, profile: Profile, file: Path, tmp_path: Path
) -> None:
    rows: set[str] = set()
    result: list[Sent] = []

    def run() -> None:
        result.append(
            send(
                Reader(str(file), profile),
                Client(api.url),
                tmp_path,
                broker=api.broker,
                existing=lambda ids: rows.intersection(ids),
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
        Reader(str(file), profile),
        Client(api.url),
        tmp_path,
        broker=api.broker,
        existing=lambda ids: rows.intersection(ids),
    )
    assert (again.posted, again.rows, again.dead_letters) == (0, 1997, 3), (
        "the journal knows where they begin"
    )


@pytest.mark.parametrize("stream", [False, True])
def test_rows_of_one_id_are_one_transaction_to_wait_for(
    api: Api, profile: Profile, tmp_path: Path, stream: bool
) -> None:
    ids = ["a", "b", "a", *(f"t{number}" for number in range(400)), "b", "a"]
    file = few(tmp_path / "again.jsonl", [{"transaction_id": name} for name in ids])
    options = Options(batch=300, stream=stream, patience=0.5)
    sent = send(
        Reader(str(file), profile),
        Client(api.url),
        tmp_path,
        options,
        broker=api.broker,
        existing=set,
    )
    assert (sent.read, sent.distinct, sent.rows, sent.dead_letters) == (405, 402, 402, 0)
