"""Live traffic through the real API: valid, in time, with verdicts after the delay."""

from __future__ import annotations

import threading
from pathlib import Path

from db.keys import create
from producers.simulator.traffic import Simulator
from tests.producers.running_api import serve
from tests.support import eventually
from tidegate.client import Client
from tidegate.clock import now_us
from tidegate.messages.documents import decode_verdict
from tidegate.pipeline import FEEDBACK, RAW
from tidegate.profile import load_profile


def test_traffic_and_verdicts(tmp_path: Path) -> None:
    profile = load_profile("card")
    with serve(profile, tmp_path) as api:
        done = Simulator(profile, Client(api.url), rate=400, label_delay=0.5).run(count=1200)
        sent = {
            profile.id_of(profile.decode(record.value or b""))
            for _, _, record in api.broker.committed_records(RAW)
        }
        verdicts = [
            decode_verdict(record.value or b"")
            for _, _, record in api.broker.committed_records(FEEDBACK)
        ]
    assert (done.transactions, done.refused, len(sent)) == (1200, 0, 1200)
    assert 1.5 < done.seconds < 15, "at the rate asked for"
    assert len(verdicts) == done.verdicts > 0
    assert {verdict.transaction_id for verdict in verdicts} <= sent
    assert sum(verdict.verdict == "fraud" for verdict in verdicts) <= done.frauds


def test_verdicts_name_the_ids_of_a_client_that_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(load_profile("card").path.read_text() + "\nids: per_client\n")
    profile = load_profile(path)
    with serve(profile, tmp_path, auth="keys") as api:
        _, key = create(api.database, "shop", ["ingest", "review"], now_us())
        Simulator(profile, Client(api.url, key=key), rate=400, label_delay=0.0).run(count=400)
        sent = {
            profile.id_of(profile.decode(record.value or b""))
            for _, _, record in api.broker.committed_records(RAW)
        }
        verdicts = [
            decode_verdict(record.value or b"").transaction_id
            for _, _, record in api.broker.committed_records(FEEDBACK)
        ]
    assert verdicts
    assert set(verdicts) <= sent
    assert all(name.startswith("shop:sim") for name in verdicts)


def test_it_stops_when_told(tmp_path: Path) -> None:
    profile = load_profile("wallet")
    with serve(profile, tmp_path) as api:
        client = Client(api.url)
        thread = threading.Thread(target=Simulator(profile, client, rate=50).run)
        thread.start()
        eventually(lambda: api.posts > 2)
        api.faults += ["503"] * 1000
        eventually(lambda: api.posts > 4)
        client.stop.set()
        thread.join(2)
        assert not thread.is_alive()
