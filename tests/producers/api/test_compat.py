"""The paths of other projects: what becomes of a body, and which profile has which path."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from producers.api.compat import card, card_unsupervised, creditcard, vector, wallet
from producers.api.openapi import description
from producers.api.openapi_compat import CARD, CREDITCARD, LABELLED, UNSUPERVISED, VECTOR, WALLET
from producers.api.problems import PROBLEMS
from producers.api.routes.compat import PATHS
from tests.producers.running_api import serve
from tidegate.profile import load_profile
from tidegate.settings import Settings

Translate = Callable[[bytes], bytes]
DECISION: dict[str, Any] = {
    "transaction_id": "t-1",
    "decision": "review",
    "score": 0.7,
    "scores": {"lightgbm": 0.9, "online": 0.2},
    "bundle": "00aa11bb22cc33dd",
}
PROFILES = sorted({profile for views in PATHS.values() for profile in views})
TRANSLATED = [
    ("card", card.transaction, CARD),
    ("card", card.transaction, CARD | {"user_id": 17, "merchant": 4, "location_match": False}),
    ("wallet", wallet.transaction, WALLET),
    ("wallet", wallet.transaction, LABELLED | {"user_id": 12}),
    ("creditcard", bytes, CREDITCARD),
    ("card_unsupervised", card_unsupervised.transaction, UNSUPERVISED),
]


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(("name", "translate", "body"), TRANSLATED)
def test_an_example_becomes_a_transaction(
    name: str, translate: Translate, body: dict[str, Any]
) -> None:
    load_profile(name).decode(translate(encoded(body)), 1_800_000_000_000_000)


def test_booleans_may_be_0_and_1_and_nothing_else() -> None:
    for written, meant in ((0, False), (1, True), (True, True), (2, 2), ("1", "1"), (None, None)):
        made = json.loads(card.transaction(encoded(CARD | {"location_match": written})))
        assert made["location_match"] is meant or made["location_match"] == meant
        assert type(made["location_match"]) is type(meant)


def test_numbers_keep_every_digit() -> None:
    assert b'"amount":0.10000000000000000001' in wallet.transaction(
        b'{"user_id": 7, "amount":0.10000000000000000001}'
    )


@pytest.mark.parametrize("raw", [b"", b"[1]", b'{"a":', b"\xff", b'{"a": NaN}', b"[" * 5000])
def test_what_is_no_object_is_left_to_ingest(raw: bytes) -> None:
    for translate in (card.transaction, wallet.transaction, card_unsupervised.transaction):
        assert translate(raw) == raw
    assert wallet.label(raw) is None


def test_a_label_is_no_part_of_the_transaction() -> None:
    bare = {name: value for name, value in LABELLED.items() if name != "is_anomaly"}
    assert wallet.transaction(encoded(LABELLED)) == wallet.transaction(encoded(bare))
    for written, meant in (
        (1, "fraud"),
        (0, "legitimate"),
        (True, "fraud"),
        (2, None),
        ("1", None),
    ):
        assert wallet.label(encoded(bare | {"is_anomaly": written})) == meant
    assert wallet.label(encoded(bare)) is None


def test_the_wallet_answer_shows_both_models() -> None:
    assert wallet.prediction(DECISION) == {
        "is_anomaly": True,
        "anomaly_score": 0.7,
        "details": {
            "batch_model_prediction": True,
            "batch_model_score": 0.9,
            "online_model_prediction": False,
            "online_model_score": 0.2,
        },
    }
    for gone in (None, float("nan")):
        left_out = DECISION | {"scores": {"lightgbm": 0.9, "online": gone}}
        details = wallet.prediction(left_out)["details"]
        assert (details["online_model_prediction"], details["online_model_score"]) == (None, None)


def test_the_platform_answer_names_the_bundle() -> None:
    assert creditcard.prediction(DECISION | {"decision": "approve"}) == {
        "fraud_probability": 0.7,
        "is_fraud": False,
        "model_version": "00aa11bb22cc33dd",
    }


@pytest.mark.parametrize(
    ("decision", "score", "risk"),
    [
        ("approve", 0.79, "low"),
        ("approve", 0.8, "medium"),
        ("review", 0.96, "high"),
        ("block", 0.999, "critical"),
    ],
)
def test_a_risk_level_follows_the_decision(decision: str, score: float, risk: str) -> None:
    made = card_unsupervised.prediction(DECISION | {"decision": decision, "score": score})
    assert (made["risk_level"], made["is_anomaly"]) == (risk, decision != "approve")


def test_types_are_answered_by_the_models_that_are_served() -> None:
    assert vector.served(["lightgbm", "lstm_autoencoder"]) == {
        "lstm": "lstm_autoencoder",
        "lightgbm": "lightgbm",
        "ensemble": "ensemble",
    }


@pytest.mark.parametrize(
    ("asked", "model", "expected"),
    [
        (vector.Question("lightgbm", 0.9), "lightgbm", (True, 0.9)),
        (vector.Question("lightgbm", 0.91), "lightgbm", (False, 0.9)),
        (vector.Question("ensemble", None), "ensemble", (True, 0.7)),
        (vector.Question("lstm", 0.1), "lstm_autoencoder", (None, None)),
    ],
)
def test_a_threshold_is_a_score(
    asked: vector.Question, model: str, expected: tuple[bool | None, float | None]
) -> None:
    made = vector.prediction(DECISION, asked, model)
    assert (made["is_anomaly"], made["score"]) == expected
    assert (made["model_type"], made["threshold"]) == (asked.model_type, asked.threshold)


def test_the_accuracy_counts_what_was_missed_and_what_was_flagged_wrongly() -> None:
    # of 1000 rows 20 are frauds; 30 are flagged, 15 of them rightly: 15 and 5 are wrong
    metrics = {"base_rate": 0.02, "review_share": 0.03, "review_precision": 0.5}
    assert vector.accuracy(metrics) == pytest.approx(0.98)
    assert vector.accuracy({}) is None


def test_parameters_become_options_of_train() -> None:
    given: dict[str, float | str] = {"n_estimators": 50.0, "contamination": 0.1, "label": "y"}
    assert vector.options("isolation_forest", given) == [
        "--set",
        "isolation_forest.trees=50",
        "--contamination",
        "0.1",
        "--label",
        "y",
    ]
    wrong: list[dict[str, float | str]] = [
        {"n_estimators": 1.5},
        {"n_estimators": "--promote"},
        {"contamination": 0.5},
        {"depth": 3.0},
    ]
    for parameters in wrong:
        with pytest.raises(ValueError, match=next(iter(parameters))):
            vector.options("isolation_forest", parameters)


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "none.csv", "", ".", "\0"])
def test_only_files_of_the_allowed_folder_are_trained_on(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.csv").touch()
    with serve(load_profile("vector"), tmp_path) as api:
        order = {"model_type": "isolation_forest", "training_data": name}
        status, _, problem = ask(api.url, "POST", "/api/v1/models/train", order)
        assert (status, problem["errors"][0]["field"]) == (422, "training_data")


def test_a_model_that_is_not_served_is_named_with_those_that_are(tmp_path: Path) -> None:
    body = VECTOR | {"data": [0.5] * 8}
    with serve(load_profile("vector"), tmp_path) as api:
        status, _, problem = ask(api.url, "POST", "/api/v1/detect", body | {"model_type": "vae"})
        assert (status, problem["errors"][0]["field"]) == (422, "model_type")
        assert "isolation_forest" in problem["detail"]
        for field, value in (("threshold", 2), ("threshold", "x"), ("data", [1])):
            status, _, problem = ask(api.url, "POST", "/api/v1/detect", body | {field: value})
            assert (status, problem["errors"][0]["field"]) == (422, field)
        assert ask(api.url, "POST", "/api/v1/detect?wait_ms=50", body)[0] == 202
        assert ask(api.url, "GET", "/api/v1/models/jobs/none")[0] == 404


@pytest.mark.parametrize("name", PROFILES)
def test_the_description_has_the_paths_of_its_profile(name: str) -> None:
    paths = description(load_profile(name), Settings())["paths"]
    described = {(verb.upper(), path) for path, verbs in paths.items() for verb in verbs}
    for (method, path), views in PATHS.items():
        shown = path.replace("<id:transaction_id>", "{id}").replace("<job>", "{job}")
        assert ((method, shown) in described) == (name in views), (method, path)


def ask(url: str, method: str, path: str, body: object = None) -> tuple[int, Any, Any]:
    link = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    sent = body if isinstance(body, bytes) else encoded(body) if body else None
    link.request(method, path, sent, {"Content-Type": "application/json"})
    answer = link.getresponse()
    raw = answer.read()
    link.close()
    return answer.status, answer.headers, json.loads(raw) if raw[:1] == b"{" else raw


def test_a_path_of_another_profile_says_whose_it_is(tmp_path: Path) -> None:
    with serve(load_profile("wallet"), tmp_path) as api:
        status, _, problem = ask(api.url, "POST", "/predict/batch", {"transactions": []})
        assert (status, problem["type"]) == (404, "/docs#not_found")
        assert "`card_unsupervised`" in problem["detail"]
        assert "runs `wallet`" in problem["detail"]
        status, headers, _ = ask(api.url, "GET", "/")
        assert status == 302
        assert headers["Location"].startswith("http://127.0.0.1:")


def test_no_decision_in_time_is_a_202_with_the_address(tmp_path: Path) -> None:
    with serve(load_profile("wallet"), tmp_path) as api:
        status, headers, made = ask(api.url, "POST", "/predict?wait_ms=50", WALLET)
        assert (status, made["status"]) == (202, "accepted")
        assert headers["Location"] == f"/v1/transactions/{made['transaction_id']}"
        assert ask(api.url, "GET", headers["Location"])[0] == 202
        status, _, problem = ask(api.url, "POST", "/predict", WALLET | {"amount": -1})
        assert (status, problem["errors"][0]["field"]) == (422, "amount")
        bare = {name: value for name, value in LABELLED.items() if name != "is_anomaly"}
        status, _, problem = ask(api.url, "POST", "/update", bare)
        assert (status, problem["errors"][0]["field"]) == (422, "is_anomaly")


@pytest.mark.parametrize(
    ("name", "path", "raw", "kind"),
    [
        ("vector", "/api/v1/models/train", b"{]", "invalid_json"),
        ("vector", "/api/v1/models/train", b'{"model_type":"\xff"}', "invalid_utf8"),
        ("vector", "/api/v1/models/train", b'{"x":' + b"[" * 9_000, "too_deep"),
        ("card_unsupervised", "/predict/batch", b"{]", "invalid_json"),
        ("card_unsupervised", "/predict/batch", b'{"transactions":' + b"[" * 9_000, "too_deep"),
        ("card", "/v1/models/rollback", b"{]", "invalid_json"),
        ("card", "/v1/models/rollback", b'{"by":"\xff"}', "invalid_utf8"),
        ("card", "/v1/feedback", b"{]", "invalid_json"),
        ("card", "/v1/feedback", b'{"note":"\xff"}', "invalid_utf8"),
        ("card", "/v1/feedback", b'{"transaction":' + b"[" * 9_000, "too_deep"),
        ("card", "/v1/transactions/batch", b"[}", "invalid_json"),
        ("card", "/v1/transactions/batch", b"\xff", "invalid_utf8"),
        ("card", "/v1/transactions/batch", b"[" * 9_000, "too_deep"),
    ],
)
def test_what_cannot_be_read_is_told_alike_everywhere(
    tmp_path: Path, name: str, path: str, raw: bytes, kind: str
) -> None:
    with serve(load_profile(name), tmp_path) as api:
        status, _, problem = ask(api.url, "POST", path, raw)
    assert (status, problem["type"]) == (PROBLEMS[kind][0], f"/docs#{kind}")


def test_health_is_503_while_stages_are_missing(tmp_path: Path) -> None:
    with serve(load_profile("creditcard"), tmp_path) as api:
        status, _, problem = ask(api.url, "GET", "/")
        assert (status, problem["type"]) == (503, "/docs#not_ready")


def test_a_batch_keeps_its_order_and_answers_a_bad_one_in_place(tmp_path: Path) -> None:
    bodies = [UNSUPERVISED | {"transaction_id": f"T{i}"} for i in range(3)]
    bodies[1]["hour"] = 24
    with serve(load_profile("card_unsupervised"), tmp_path) as api:
        status, _, made = ask(
            api.url, "POST", "/predict/batch?wait_ms=50", {"transactions": bodies}
        )
        assert (status, made["total_transactions"]) == (202, 3)
        assert [one["transaction_id"] for one in made["predictions"]] == ["T0", "T1", "T2"]
        assert made["predictions"][1]["problem"]["errors"][0]["field"] == "hour"
        assert made["predictions"][2]["location"] == "/v1/transactions/T2"
        for wrong, expected in (([], 422), ({"transactions": []}, 400), ({"transactions": 1}, 422)):
            assert ask(api.url, "POST", "/predict/batch", wrong or [1])[0] == expected
