"""Processes of the version before are replaced, one stage after the other, while records come in.

`tests/data/version_before.tar.xz` is the source of that version (commit 5117877), run by this
version's interpreter and packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, text

from db.store import Store
from model.bundles.bundle import save
from tests.faults.bundle import card_bundle
from tests.support import eventually
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.ports import Broker
from tidegate.errors import EXIT_CONFIG
from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.host.spawn import guarded
from tidegate.messages.heartbeats import Heartbeat
from tidegate.pipeline import DLQ, RAW
from tidegate.profile import Profile, load_profile
from tidegate.settings import Settings
from tidegate.status.heartbeats import heartbeats

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("preprocess", "preprocess-2", "score", "persist")
READERS_FIRST = STAGES[::-1]
ACCOUNTS, MERCHANTS, ROUND = 20, 4, 60


class Version:
    """The processes of one version, in a home of its own; `code` is where its packages lie."""

    def __init__(self, code: Path, home: Path, env: dict[str, str]) -> None:
        self._code, self.home = code, home
        home.mkdir()
        self._env = {**os.environ, "PYTHONPATH": str(code), "TIDEGATE_HOME": str(home), **env}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=self._code, env=self._env, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def do(self, *arguments: str) -> None:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, stage: str) -> None:
        with (self.home / f"{stage}.log").open("wb") as log:
            self.processes[stage] = subprocess.Popen(
                guarded([sys.executable, "-m", "cli", "run", stage]),
                cwd=self._code, env=self._env, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def log(self, stage: str) -> str:
        return (self.home / f"{stage}.log").read_text(errors="replace")

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[str]:
    server = EmbeddedKafka(tmp_path / "kafka", free_port())
    server.start()
    yield server.address
    server.stop()


@pytest.fixture
def database(postgres: str) -> str:
    name = f"upgrade_{uuid.uuid4().hex[:8]}"
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return postgres.rpartition("/")[0] + f"/{name}"


def unpacked(folder: Path) -> Path:
    """The version before."""
    with tarfile.open(ROOT / "tests" / "data" / "version_before.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def bundle_of_before(profile: Profile, folder: Path) -> None:
    """A bundle as the version before trained it."""
    _, made = card_bundle()
    manifest = msgspec.structs.replace(made.manifest, profile_hash=profile.hash.decode())
    save(folder, manifest, made.detectors, made.ensemble)


def transaction(i: int) -> tuple[bytes, bytes]:
    """A record; accounts and merchants take turns. All are of one moment, so that each counts those
    before it, in whatever order the partitions come together.
    """
    account = f"user-{i % ACCOUNTS}"
    document = {
        "transaction_id": f"t-{i}",
        "user_id": account,
        "amount": 12.5,
        "merchant": f"merchant-{i * 7 % MERCHANTS}",
        "timestamp": "2026-01-31T02:00:00Z",
        "merchant_type": "fuel",
        "device_type": "pos",
        "location_match": True,
    }
    return account.encode(), json.dumps(document).encode()


class Load:
    """Records in rounds, which may be waited for until all that were sent are rows."""

    def __init__(self, broker: Broker, database: str) -> None:
        self._broker, self._database = broker, database
        self.sent = 0

    def __call__(self, *, wait: bool = True) -> None:
        producer, faults = self._broker.producer(), list[Exception | None]()
        records = [transaction(i) for i in range(self.sent, self.sent + ROUND)]
        producer.produce_all(RAW, records, faults.append)
        producer.flush(30)
        producer.close()
        assert faults == [None] * ROUND
        self.sent += ROUND
        if wait:
            eventually(lambda: rows(self._database) == self.sent, 120)


def rows(database: str) -> int:
    engine = create_engine(database)
    with engine.connect() as connection:
        count = connection.execute(text("SELECT count(*) FROM transactions")).scalar_one()
    engine.dispose()
    return int(count)


def serving(beats: list[Heartbeat]) -> set[int]:
    """The processes that have partitions, and the state of these."""
    return {beat.pid for beat in beats if beat.partitions and beat.restored}


def check(database: str, profile: Profile, sent: int) -> None:
    """Every record is a row, and counted once, whoever processed it."""
    store = Store(database, profile)
    features = [store.get(f"t-{i}") for i in range(sent)]
    store.close()
    at_merchants: dict[int, list[float]] = {}
    for i, row in enumerate(features):
        assert row is not None
        counted = row["features"]["user_count_1h"]
        assert (i, counted) == (i, i // ACCOUNTS + 1)
        at_merchants.setdefault(i * 7 % MERCHANTS, []).append(row["features"]["merchant_count_1h"])
    for counts in at_merchants.values():
        assert sorted(counts) == list(range(1, len(counts) + 1))


def letters(broker: Broker) -> int:
    consumer = broker.consumer(None)
    try:
        bounds = [consumer.bounds(partition) for partition in consumer.partitions(DLQ)]
        return sum(end - start for start, end in bounds)
    finally:
        consumer.close()


@pytest.mark.parametrize("order", [READERS_FIRST, STAGES], ids=["readers first", "writers first"])
def test_new_processes_replace_old_ones_while_records_come(
    tmp_path: Path, kafka: str, database: str, order: tuple[str, ...]
) -> None:
    """Readers first, no process meets what it cannot read. The other way round an old one that
    meets a new frame ends with 78, and its records wait for the new one of its stage.
    """
    before_code = unpacked(tmp_path / "before")
    profile = load_profile(str(before_code / "profiles" / "card.yaml"))
    bundle_of_before(profile, tmp_path / "bundles")
    env = {
        "TIDEGATE_KAFKA": kafka,
        "TIDEGATE_DB": database,
        "TIDEGATE_PROFILE": str(profile.path),
        "TIDEGATE_BUNDLES": str(tmp_path / "bundles"),
        "TIDEGATE_SNAPSHOTS": f"file://{tmp_path / 'snapshots'}",
        "TIDEGATE_SNAPSHOT_EVERY": "20",
    }
    before = Version(before_code, tmp_path / "old", env)
    now = Version(ROOT, tmp_path / "new", env)
    broker = KafkaBroker(Settings(kafka=kafka))
    send = Load(broker, database)
    try:
        before.do("setup")
        for stage in STAGES:
            before.start(stage)
        send()
        now.do("setup")
        send()
        with heartbeats(broker, profile) as beats:
            for stage in order:
                now.start(stage)
                pid = now.processes[stage].pid
                eventually(lambda pid=pid: pid in serving(beats()), 120)
                send(wait=order == READERS_FIRST or stage == order[-1])
                if stage == order[0]:
                    listed = json.loads(before.run("status", "--json").stdout)["processes"]
                    assert pid in {one["pid"] for one in listed}, "it reads our heartbeats"
                end(before, stage, order)
                send(wait=order == READERS_FIRST or stage == order[-1])
        assert all(process.poll() is None for process in now.processes.values())
    finally:
        before.close()
        now.close()
    assert letters(broker) == 0
    check(database, profile, send.sent)


def end(before: Version, stage: str, order: tuple[str, ...]) -> None:
    process = before.processes[stage]
    process.terminate()
    code = process.wait(30)
    met = order == STAGES and "this process reads layout 1" in before.log(stage)
    assert code == 0 or (code == EXIT_CONFIG and met), before.log(stage)
