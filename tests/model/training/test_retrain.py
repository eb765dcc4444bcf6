from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from model.bundles.bundle import Bundle
from model.bundles.manifest import MANIFEST
from model.evaluation.metrics import Quality
from model.history.fold import Log, fold
from model.training.retrain import (
    Check,
    Limits,
    RetrainingReport,
    checks_of,
    count_silence,
    cut_mature,
    mature,
    retrain,
)
from model.training.train import Data, fit_bundle
from producers.simulator.history import read_frame, simulate_history
from tests.trained import Trained
from tidegate.profile import load_profile

pytestmark = pytest.mark.training

PROFILE = load_profile("card")
DELAY = PROFILE.label_delay_us


@pytest.fixture(scope="module")
def data() -> Data:
    history = read_frame(PROFILE, simulate_history(PROFILE, 30_000, seed=6)).history
    log = Log(fold(PROFILE, history), history.labels, history.times)
    return Data(log, history.groups, "test", len(history.times))


@pytest.fixture(scope="module")
def poor(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A champion that learnt verdicts of other transactions."""
    mixed = data.log._replace(labels=np.random.default_rng(3).permutation(data.log.labels))
    rows = cut_mature(mixed, DELAY)
    test = np.arange(rows.test.start, rows.test.stop)
    folder = tmp_path_factory.mktemp("poor")
    return fit_bundle(PROFILE, data._replace(log=mixed), rows.learnt, test, folder, silent)


def silent(_share: float, _what: str) -> None:
    """Progress of no interest."""


def run(champion: Bundle, data: Data, folder: Path, **limits: float) -> RetrainingReport:
    return retrain(
        PROFILE,
        champion,
        data,
        Limits(**limits),
        folder,
        RetrainingReport("card", "test", champion.hash, 0),
        silent,
    )


def faults(champion: Bundle, data: Data) -> list[str]:
    return [check.name for check in checks_of(PROFILE, champion, data, Limits())[0] if not check.ok]


def with_column(data: Data, name: str, change: float) -> Data:
    values = data.log.values.copy()
    values[:, PROFILE.values.index(name)] *= change
    return data._replace(log=data.log._replace(values=values))


def with_labels(data: Data, labels: np.ndarray) -> Data:
    return data._replace(log=data.log._replace(labels=labels.astype(np.int8)))


def test_a_better_challenger_is_promoted(poor: Bundle, data: Data, tmp_path: Path) -> None:
    qualities: list[Quality] = []
    report = RetrainingReport("card", "test", poor.hash, 0)
    retrain(PROFILE, poor, data, Limits(), tmp_path, report, silent, on_quality=qualities.append)
    assert report.outcome == "promoted", report.why
    assert {quality.name: quality.metrics for quality in qualities} == {
        "champion": report.champion_metrics,
        "challenger": report.challenger_metrics,
    }
    assert all(quality.curves and quality.calibration for quality in qualities)
    assert report.difference is not None
    assert report.difference.low > 0
    assert report.challenger_metrics["average_precision"] - report.champion_metrics[
        "average_precision"
    ] == pytest.approx(report.difference.point)
    assert Bundle.load(tmp_path / report.challenger).manifest.training.source == "test"


def test_the_margin_keeps_the_champion(poor: Bundle, data: Data, tmp_path: Path) -> None:
    report = run(poor, data, tmp_path, margin=0.99)
    assert (report.outcome, "0.99" in report.why) == ("kept", True)


def test_as_good_is_not_better(poor: Bundle, data: Data, tmp_path: Path) -> None:
    """A challenger against its own twin."""
    first = run(poor, data, tmp_path)
    report = run(Bundle.load(tmp_path / first.challenger), data, tmp_path)
    assert (report.outcome, report.difference) == ("kept", (0, 0, 0))


def test_labels_that_have_not_matured_count_for_nothing(
    poor: Bundle, data: Data, tmp_path: Path
) -> None:
    labels = data.log.labels.copy()
    end = mature(data.log, DELAY)
    labels[end:] = 1 - labels[end:]
    assert end < len(labels)
    first, second = run(poor, data, tmp_path), run(poor, with_labels(data, labels), tmp_path)
    assert first.challenger_metrics == second.challenger_metrics
    assert first.difference == second.difference


def test_the_challenger_knows_what_was_known_when_the_comparison_begins(data: Data) -> None:
    learnt, test = cut_mature(data.log, DELAY)
    times = data.log.times
    assert times[learnt[-1]] + DELAY <= times[test.start] < times[learnt[-1] + 1] + DELAY
    assert times[test.stop - 1] + DELAY <= times[-1] < times[test.stop] + DELAY
    assert test.stop - test.start == pytest.approx(0.2 * test.stop, abs=2)


def test_without_times_the_order_decides(trained: Trained) -> None:
    log = Log(trained.values, trained.labels, np.zeros(len(trained.labels), np.int64))
    learnt, test = cut_mature(log, 0)
    assert (learnt[-1] + 1, test.stop) == (test.start, len(trained.labels))


def test_good_data_passes_every_check(trained: Trained, data: Data) -> None:
    checks, moved = checks_of(PROFILE, trained.bundle, data, Limits())
    assert [check.name for check in checks if not check.ok] == []
    assert {"rejected rows", "share of frauds", "drift of the inputs"} < {
        check.name for check in checks
    }
    assert list(moved.values()) == sorted(moved.values(), reverse=True)


def test_bad_data_stops_before_anything_is_trained(
    trained: Trained, data: Data, tmp_path: Path
) -> None:
    report = run(trained.bundle, with_column(data, "amount", 100.0), tmp_path)
    assert (report.outcome, report.challenger) == ("bad_data", "")
    assert "amount has a PSI of" in report.why
    assert list(tmp_path.iterdir()) == []


def test_each_fault_is_named(trained: Trained, data: Data) -> None:
    frauds, bundle = data.log.labels == 1, trained.bundle
    few = np.where(frauds & (np.arange(len(frauds)) % 50 > 0), -1, data.log.labels)
    assert "verdicts to compare on" in faults(bundle, with_labels(data, few))
    some = np.where(~frauds & (np.arange(len(frauds)) % 20 > 0), -1, data.log.labels)
    assert faults(bundle, with_labels(data, some)) == ["share of frauds"]
    assert faults(bundle, data._replace(read=31_000, rejected=1_000)) == ["rejected rows"]
    nothing = data._replace(log=Log(data.log.values[:0], data.log.labels[:0], data.log.times[:0]))
    assert set(faults(bundle, nothing)) == {
        "verdicts to learn from",
        "verdicts for the stack",
        "verdicts to compare on",
        "share of frauds",
    }


def test_silence_means_legitimate_once_it_is_old_enough(data: Data) -> None:
    labels = np.where(data.log.labels == 1, 1, -1).astype(np.int8)
    counted = count_silence(data.log._replace(labels=labels), DELAY)
    end = mature(counted, DELAY)
    assert np.array_equal(counted.labels[:end], data.log.labels[:end])
    assert (counted.labels[end:] != 0).all()
    assert (labels != 0).all()


def test_a_bundle_without_a_reference_is_compared_without_drift(
    trained: Trained, data: Data, tmp_path: Path
) -> None:
    manifest, bundle = json.loads((trained.bundle.path / MANIFEST).read_text()), trained.bundle
    del manifest["files"]["reference.json"]
    text = json.dumps(manifest)
    path = tmp_path / hashlib.sha256(text.encode()).hexdigest()[:16]
    path.mkdir()
    (path / MANIFEST).write_text(text)
    older = Bundle(path, bundle.hash, bundle.manifest, bundle.detectors, bundle.ensemble)
    checks, moved = checks_of(PROFILE, older, data, Limits())
    assert moved == {}
    assert all(isinstance(check, Check) and check.ok for check in checks)
