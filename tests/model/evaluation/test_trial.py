"""One transaction tried after the past that its page knows."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest

from model.evaluation.trial import try_out
from tests.trained import Trained
from tests.web import transaction


def raw(minutes_ago: int, **changes: object) -> bytes:
    moment = time.gmtime(time.time() - 60 * minutes_ago)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)
    return json.dumps(transaction(None, timestamp=stamp, **changes)).encode()


def test_its_windows_hold_the_past(trained: Trained) -> None:
    past = [
        raw(200),
        b'{"of": "another version of the profile"}',
        raw(30),
        raw(20, user_id="u-2"),
        raw(10),
    ]
    trial = try_out(trained.profile, trained.bundle, past, raw(0))
    assert trial.past == 4
    assert trial.features["user_count_1h"] == 3
    assert trial.features["user_count_1d"] == 4
    assert trial.features["merchant_count_1h"] == 4
    assert trial.features["merchant_users_1h"] == 2


def test_verdicts_count_once_they_are_old_enough(trained: Trained) -> None:
    day = 24 * 60
    past = [raw(20 * day, user_id="u-1"), raw(15 * day, user_id="u-2"), raw(2 * day), b"{}"]
    plain = try_out(trained.profile, trained.bundle, past, raw(0))
    assert plain.features["merchant_verdicts_30d"] == 0
    told = try_out(trained.profile, trained.bundle, past, raw(0), verdicts=[1, 0, 1, 1])
    assert told.features["merchant_verdicts_30d"] == 2, "the third is too young"
    rate = told.features["merchant_fraud_rate_30d"]
    assert rate == pytest.approx((1 + 0.01 * 20) / (2 + 20))
    assert told.past == 3


def test_its_score_is_the_bundles(trained: Trained) -> None:
    trial = try_out(trained.profile, trained.bundle, [], raw(0, amount=950_000))
    values = np.array([list(trial.features.values())])
    scores = trained.bundle.score(values)
    assert trial.score == scores.final[0]
    assert list(trial.detectors.values()) == scores.detectors[0].tolist()
    assert (trial.review, trial.block) == (0.5, 0.9)
    assert trial.reasons == sorted(trial.reasons, key=lambda reason: -reason.contribution)


def test_a_failed_detector_is_left_out(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_inputs: object) -> None:
        raise ValueError

    monkeypatch.setattr(trained.bundle.detectors[0], "score", fail)
    trial = try_out(trained.profile, trained.bundle, [], raw(0))
    assert trial.detectors[trained.bundle.detectors[0].name] is None
    assert math.isfinite(trial.score)
