from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from flask.testing import FlaskClient

from db.migrate import migrate
from db.store import Store
from model.bundles.bundle import Bundle
from model.bundles.folder import place
from model.bundles.promotion import current_canary, current_champion, current_shadow, promote
from model.training.train import train
from producers.api.app import build_app, close_app
from producers.api.routes import models
from producers.simulator.history import read_frame, simulate_history
from tests.model.bundles.test_shared import Away, files
from tests.support import eventually
from tests.web import heartbeats
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.heartbeats import Prepared
from tidegate.pipeline import TOPICS
from tidegate.profile import load_profile
from tidegate.settings import Settings

pytestmark = pytest.mark.training

PROFILE = load_profile("card")
HASH = PROFILE.hash.decode()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundles(home: Path) -> list[Bundle]:
    history = read_frame(PROFILE, simulate_history(PROFILE, 20_000, seed=5)).history
    return [
        train(PROFILE, history, home / "bundles", lambda _share, _what: None, seed)
        for seed in (0, 1)
    ]


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(dict.fromkeys(TOPICS, 1))


@pytest.fixture
def client(
    home: Path, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FlaskClient]:
    monkeypatch.setattr(models, "BEAT", 0.0)
    url = f"sqlite:///{home / 'tidegate.db'}"
    migrate(url)
    store = Store(url, PROFILE)
    app = build_app(Settings(home=home), broker, store, PROFILE)
    yield app.test_client()
    close_app(app)
    store.close()


def test_bundles_are_listed_with_the_champion(
    client: FlaskClient, broker: MemoryBroker, bundles: list[Bundle]
) -> None:
    assert client.get("/v1/models").json["champion"] is None
    promote(broker, bundles[0].hash, HASH, by="test")
    found = client.get("/v1/models").json
    assert (found["champion"], found["scorers"], found["drift"]) == (bundles[0].hash, [], None)
    assert {one["bundle"]: one["champion"] for one in found["bundles"]} == {
        bundles[0].hash: True,
        bundles[1].hash: False,
    }
    one = client.get(f"/v1/models/{bundles[0].hash[:8]}").json
    assert (one["bundle"], one["champion"], one["profile_hash"]) == (bundles[0].hash, True, HASH)
    assert "average_precision" in one["metrics"]


def test_a_promotion_and_its_rollback(
    client: FlaskClient, broker: MemoryBroker, bundles: list[Bundle]
) -> None:
    first, second = (bundle.hash for bundle in bundles)
    promote(broker, first, HASH, by="test")
    answer = client.post(f"/v1/models/{second[:10]}/promote", json={"by": "ann"})
    assert (answer.status_code, answer.json["champion"], answer.json["previous"]) == (
        202,
        second,
        first,
    )
    found = current_champion(broker, HASH)
    assert found is not None
    assert (found.champion.bundle, found.champion.by, found.offset) == (
        second,
        "ann",
        answer.json["offset"],
    )
    assert client.post("/v1/models/rollback", json={}).json["champion"] == first


def test_what_cannot_be_is_a_problem(client: FlaskClient, broker: MemoryBroker, home: Path) -> None:
    assert problem(client.post("/v1/models/rollback", json={})) == (409, "not_promotable")
    assert problem(client.post("/v1/models/zz/promote", json={})) == (404, "not_found")
    assert problem(client.get("/v1/models/zz")) == (404, "not_found")
    damaged = home / "bundles" / "0123456789abcdef"
    damaged.mkdir(parents=True)
    (damaged / "manifest.json").write_text("{}")
    for answer in (client.post("/v1/models/0123/promote", json={}), client.get("/v1/models/0123")):
        assert problem(answer) == (409, "not_promotable")
    assert current_champion(broker, HASH) is None


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        ("", "text/plain", (415, "unsupported_media_type")),
        ("{", "application/json", (400, "invalid_json")),
        ('{"by": 1}', "application/json", (422, "invalid")),
        ('{"who": "x"}', "application/json", (422, "invalid")),
    ],
)
def test_only_a_json_order_is_taken(
    client: FlaskClient, bundles: list[Bundle], data: str, kind: str, expected: tuple[int, str]
) -> None:
    answer = client.post(f"/v1/models/{bundles[0].hash}/promote", data=data, content_type=kind)
    assert problem(answer) == expected
    assert answer.content_type == "application/problem+json"


def test_a_shadow_is_named_compared_and_taken_away(
    client: FlaskClient, broker: MemoryBroker, bundles: list[Bundle]
) -> None:
    second = bundles[1].hash
    assert problem(client.get("/v1/models/shadow")) == (404, "not_found")
    answer = client.post(f"/v1/models/{second[:10]}/shadow", json={"by": "ann"})
    assert (answer.status_code, answer.json, answer.headers["Location"]) == (
        202,
        {"shadow": second},
        "/v1/models/shadow",
    )
    found = current_shadow(broker, HASH)
    assert found is not None
    assert (found[0].bundle, found[0].by) == (second, "ann")
    compared = client.get("/v1/models/shadow?capacity=20").json
    assert (compared["shadow"], compared["rows"], compared["agreement"]) == (second, 0, None)
    assert compared["challenger"] == {"reviewed": 0, "verdicts": 0, "frauds": 0, "precision": None}
    assert client.delete("/v1/models/shadow", json={}).json == {"shadow": None}
    assert current_shadow(broker, HASH) is None


def test_what_cannot_be_a_shadow_is_a_problem(
    client: FlaskClient, broker: MemoryBroker, home: Path
) -> None:
    damaged = home / "bundles" / "0123456789abcdee"
    damaged.mkdir(parents=True)
    (damaged / "manifest.json").write_text("{}")
    assert problem(client.post("/v1/models/0123456789abcdee/shadow", json={})) == (
        409,
        "not_promotable",
    )
    assert problem(client.post("/v1/models/zz/shadow", json={})) == (404, "not_found")
    assert problem(client.delete("/v1/models/shadow")) == (415, "unsupported_media_type")
    for capacity in ("0", "many", "1" * 25):
        assert problem(client.get(f"/v1/models/shadow?capacity={capacity}")) == (422, "invalid")
    assert current_shadow(broker, HASH) is None


def problem(answer: object) -> tuple[int, str]:
    document = answer.get_json(force=True)  # type: ignore[attr-defined] # Werkzeug's test response
    return document["status"], document["type"].partition("#")[2]


def test_a_canary_is_named_compared_and_taken_away(
    client: FlaskClient, broker: MemoryBroker, bundles: list[Bundle]
) -> None:
    second = bundles[1].hash
    assert problem(client.get("/v1/models/canary")) == (404, "not_found")
    answer = client.post(f"/v1/models/{second[:10]}/canary", json={"by": "ann", "share": 0.2})
    assert (answer.status_code, answer.json) == (202, {"canary": second, "share": 0.2})
    found = current_canary(broker, HASH)
    assert found is not None
    assert (found[0].bundle, found[0].share, found[0].by) == (second, 0.2, "ann")
    assert client.get("/v1/models/canary").json == {"canary": second, "share": 0.2, "bundles": {}}
    assert client.delete("/v1/models/canary", json={}).json == {"canary": None, "share": 0.0}
    assert current_canary(broker, HASH) is None


def test_what_cannot_be_a_canary_is_a_problem(
    client: FlaskClient, broker: MemoryBroker, bundles: list[Bundle]
) -> None:
    path = f"/v1/models/{bundles[1].hash}/canary"
    for wrong in ({"share": 1.5}, {"share": "all"}, {"size": 1}):
        assert problem(client.post(path, json=wrong)) == (422, "invalid")
    assert problem(client.post("/v1/models/zz/canary", json={})) == (404, "not_found")
    assert problem(client.post(path)) == (415, "unsupported_media_type")
    assert current_canary(broker, HASH) is None


def test_a_scorer_that_has_not_loaded_the_bundle_keeps_the_champion(
    client: FlaskClient,
    broker: MemoryBroker,
    bundles: list[Bundle],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models, "_SECONDS", 0.3)
    first, second = (bundle.hash for bundle in bundles)
    promote(broker, first, HASH, by="test")
    heartbeats(broker, {"score": 1}, models_offset=1)
    eventually(lambda: client.get("/v1/models").json["scorers"])
    answer = client.post(f"/v1/models/{second}/promote", json={})
    assert (problem(answer), "score-1" in answer.json["detail"]) == ((503, "not_loaded"), True)
    lacks = Prepared(second, 3, "it is not there")
    heartbeats(broker, {"score": 1}, models_offset=4, prepared=lacks, bundle=first)
    eventually(lambda: client.get("/v1/models").json["scorers"][0]["bundle"] == first)
    answer = client.post(f"/v1/models/{second}/promote", json={})
    assert (problem(answer), "it is not there" in answer.json["detail"]) == (
        (409, "not_promotable"),
        True,
    )
    assert client.get("/v1/models").json["champion"] == first


def test_a_worker_that_has_just_started_promotes_nothing_unasked(
    client: FlaskClient,
    broker: MemoryBroker,
    bundles: list[Bundle],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, path = bundles[0].hash, f"/v1/models/{bundles[1].hash}/promote"
    promote(broker, first, HASH, by="test")
    monkeypatch.setattr(models, "BEAT", 1000.0)
    assert problem(client.post(path, json={})) == (503, "not_ready")
    assert client.get("/v1/models").json["champion"] == first
    monkeypatch.setattr(models, "BEAT", 0.05)
    eventually(lambda: client.post(path, json={}).status_code == 202)


def test_bundles_are_listed_while_their_url_is_away(broker: MemoryBroker, tmp_path: Path) -> None:
    fsspec.register_implementation("away", Away, clobber=True)
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    store = Store(url, PROFILE)
    settings = Settings(home=tmp_path, bundles="away://bucket/bundles")
    copy = place(settings.bundles_dir, files("a.json")).name
    app = build_app(settings, broker, store, PROFILE)
    found = app.test_client().get("/v1/models")
    assert (found.status_code, [one["bundle"] for one in found.json["bundles"]]) == (200, [copy])
    assert app.test_client().get(f"/v1/models/{copy}").status_code == 200
    assert problem(app.test_client().get("/v1/models/zz")) == (503, "not_ready")
    close_app(app)
    store.close()
