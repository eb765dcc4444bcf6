"""kill -9 of each process at random moments under load, and of the broker: nothing lost, doubled or
made up.

TIDEGATE_TEST_KILLS says how often each process is killed (default 5).
"""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, select, text

from consumers.preprocess import PreprocessStage
from db.engine import open_database
from db.store import Store
from db.tables import transactions
from tests import support
from tests.faults.kill9.cluster import PROFILE, Cluster, Killer
from tests.faults.kill9.load import Load
from tests.support import eventually
from tidegate.broker.records import Batch
from tidegate.dead_letters.letters import read_all, transaction_id
from tidegate.messages.documents import decode_label
from tidegate.pipeline import BY_ENTITY_2, DLQ, LABELS, RAW
from tidegate.profile.spec import FraudRate, Verdicts

pytestmark = pytest.mark.serial

KILLS = int(os.environ.get("TIDEGATE_TEST_KILLS", "5"))


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of the kind asked for."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tidegate.db'}"
    url, name = request.getfixturevalue("postgres"), f"kill_{uuid.uuid4().hex[:8]}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return str(url).rpartition("/")[0] + f"/{name}"


@pytest.fixture
def cluster(tmp_path: Path, database: str) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, database)
    try:
        yield cluster.start()
    finally:
        cluster.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_nothing_is_lost_doubled_or_made_up(cluster: Cluster) -> None:
    load = Load(cluster.url, rate=300.0, seed=11)
    load.start()
    try:
        eventually(lambda: len(load.acknowledged) > 300, 60)
        Killer(cluster, KILLS, seed=5).run()
    finally:
        load.enough.set()
        load.join(120)
    assert load.error is None
    assert not load.is_alive()
    reconcile(cluster)  # while they work on what was left
    settle(cluster, load)
    cluster.stop()
    found = reconcile(cluster)
    assert (found["row"], found["under_way"]) == (len(load.acknowledged), 0)
    check_rows(cluster, load)
    check_windows(cluster)
    check_labels(cluster, load)


def settle(cluster: Cluster, load: Load) -> None:
    """Wait until each acknowledged transaction is a row, and each verdict a label or a dead
    letter.
    """
    store = Store(cluster.database, PROFILE)

    def lost() -> list[str]:
        cluster.tend()
        return sorted(load.acknowledged.keys() - store.existing(sorted(load.acknowledged)))

    try:
        eventually(lambda: not lost(), 90, every=0.5)
    except AssertionError as error:
        raise AssertionError(
            f"{len(lost())} of {len(load.acknowledged)} lost, such as {lost()[:3]}\n"
            + "\n".join(map(cluster.tail, cluster.stages))
        ) from error
    finally:
        store.close()
    eventually(
        lambda: labels(cluster).keys() | dead_verdicts(cluster).keys() >= load.verdicts,
        60,
        every=0.5,
    )


def reconcile(cluster: Cluster) -> dict[str, int]:
    """What the product itself says of the records, from outside; fails when one is missing."""
    done = cluster.run("reconcile", "--json")
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return dict(json.loads(done.stdout))


def labels(cluster: Cluster) -> Counter[str]:
    consumer = cluster.broker.consumer(None)
    try:
        return Counter(
            decode_label(letter.value or b"").label_id for letter in read_all(consumer, LABELS)
        )
    finally:
        consumer.close()


def dead_verdicts(cluster: Cluster) -> Counter[str]:
    return Counter(
        f"label-{transaction_id(PROFILE, letter)}"
        for letter in dead(cluster)
        if letter.told["reason"] == "unknown_transaction"
    )


def dead(cluster: Cluster) -> list:  # type: ignore[type-arg]
    consumer = cluster.broker.consumer(None)
    try:
        return list(read_all(consumer, DLQ))
    finally:
        consumer.close()


def check_rows(cluster: Cluster, load: Load) -> None:
    """Rows are exactly what was acknowledged, with the bodies that were posted, and no dead
    letters.
    """
    database = open_database(cluster.database, "read")
    with database.engine.connect() as connection:
        rows = connection.execute(
            select(transactions.c.transaction_id, transactions.c.payload)
        ).all()
    database.close()
    assert len(rows) == len({row.transaction_id for row in rows}), "doubled"
    found = {row.transaction_id: row.payload.encode() for row in rows}
    wanted = {
        key: PROFILE.canonical(PROFILE.decode(line)) for key, line in load.acknowledged.items()
    }
    assert found.keys() == wanted.keys(), "lost or made up"
    assert found == wanted
    assert {letter.told["reason"] for letter in dead(cluster)} <= {"unknown_transaction"}


def check_windows(cluster: Cluster) -> None:
    """The features in the rows are those of a single-threaded fold of each step's own log: nothing
    counted twice.
    """
    verdicts = {
        name for name, spec in PROFILE.computed.items() if isinstance(spec, FraudRate | Verdicts)
    }
    columns = [at for at, name in enumerate(PROFILE.values) if name not in verdicts]
    wanted: dict[str, bytes] = {}
    for step, topic in enumerate((RAW, BY_ENTITY_2)):
        for batch in partitions(cluster, topic):
            stage = PreprocessStage(PROFILE, step)
            state = stage.new_state(batch.source.partition, support.partitions(topic))
            state.begin()
            for emit in stage.process(state, batch).emits:
                frames = PROFILE.features_layout.unpack([value or b"" for value in emit.values])
                for name, values in zip(frames.ids, frames.rows["values"], strict=True):
                    wanted[name.decode()] = values[columns].tobytes()
    database = open_database(cluster.database, "read")
    with database.engine.connect() as connection:
        rows = connection.execute(
            select(transactions.c.transaction_id, transactions.c.features)
        ).all()
    database.close()
    for row in rows:
        assert np.frombuffer(row.features, "<f8")[columns].tobytes() == wanted[row.transaction_id]


def partitions(cluster: Cluster, topic: str) -> list[Batch]:
    """Each partition of a topic as one batch."""
    consumer = cluster.broker.consumer(None)
    try:
        found: dict[int, Batch] = {}
        for source in consumer.partitions(topic):
            first, end = consumer.bounds(source)
            consumer.assign({source: first})
            whole = Batch(source, [], [], [], [], [])
            while (consumer.position(source) or first) < end:
                for batch in consumer.poll(5000, 0.5):
                    for name in ("offsets", "keys", "values", "timestamps", "headers"):
                        getattr(whole, name).extend(getattr(batch, name))
            if len(whole):
                found[source.partition] = whole
        return list(found.values())
    finally:
        consumer.close()


def check_labels(cluster: Cluster, load: Load) -> None:
    """Every verdict is a label or a dead letter; a post repeated after a lost connection repeats
    the label's id.
    """
    made = labels(cluster)
    assert made.keys() <= load.verdicts
    assert made.keys() | dead_verdicts(cluster).keys() == load.verdicts
