"""A backtest decides what the stream decided: the same features, scores, decisions and reasons, bit
for bit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pytest

from cli.challenger import BundleBacktest, decide_past
from cli.file_options import AS_FOUND
from consumers.persist import Persist
from consumers.preprocess import PreprocessStage
from consumers.retraining import data as newdata
from consumers.score import ScoreStage
from db.decided import from_database
from db.migrate import migrate
from db.names import names_of
from db.sink import SqlSink
from model.bundles.bundle import Bundle
from model.evaluation.cases import Span, from_file, from_topic
from model.evaluation.decide_again import Cases, decide_again
from model.files.reader import Reader
from model.history.fold import fold
from producers.simulator.history import read_frame, simulate_history
from tests.blocks import frames_on
from tests.faults.bundle import card_bundle
from tests.model.features.chain import label_of
from tests.stream.crash import Clock, Inline
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.documents import Champion
from tidegate.messages.frames import Frames
from tidegate.pipeline import FEATURES, LABELS, MODELS, RAW, SCORED, TOPICS, group_of
from tidegate.profile import load_profile
from tidegate.profile.spec import DAY
from tidegate.settings import Settings
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink, Sink

pytestmark = pytest.mark.training

CARD = load_profile("card")
N, CHUNK = 12_000, 500
"""All older than what the bundle learnt, so no label moves its online weights; a chunk is shorter
than the delay.
"""
NOW_MS = 1_767_225_600_000


def silent(_share: float, _what: str) -> None:
    """Progress of no interest."""


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    return simulate_history(CARD, 20_000, 1).iloc[:N]


@pytest.fixture(scope="module")
def file(history: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history, with a row that the API would refuse and one that comes again."""
    path = tmp_path_factory.mktemp("file") / "history.parquet"
    bad = history.iloc[[0]].assign(transaction_id="bad", amount=-1.0)
    pd.concat([history, bad, history.iloc[[7]]]).to_parquet(path)
    return path


class Stream(NamedTuple):
    """What is there when all has gone through: the topics, the database, and what was scored."""

    broker: MemoryBroker
    settings: Settings
    frames: Frames


@pytest.fixture(scope="module")
def stream(history: pd.DataFrame, file: Path, tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """The file through the stages that serve, the verdicts on each part after it."""
    folder, bundle = card_bundle()
    settings = Settings(home=tmp_path_factory.mktemp("stream"), bundles=str(folder))
    migrate(settings.db_url)
    broker = MemoryBroker(dict.fromkeys(TOPICS, 1), time_ms=NOW_MS)
    broker.append(
        MODELS,
        b"champion",
        msgspec.json.encode(Champion(bundle.hash, CARD.hash.decode(), 0)),
        None,
        None,
    )
    stages = [
        PreprocessStage(CARD, 0),
        PreprocessStage(CARD, 1),
        ScoreStage(CARD, folder),
        Persist(CARD, folder),
    ]
    clock = Clock()
    consumers = [broker.consumer(group_of(stage.name)) for stage in stages]
    sinks: list[Sink] = [
        KafkaSink(broker, consumer, stage.name, instance="0", profile=CARD.hash, clock=clock)
        for stage, consumer in zip(stages[:3], consumers[:3], strict=True)
    ]
    sinks.append(SqlSink(settings.db_url, broker, names_of(CARD), clock=clock))
    runners = [
        Runner(
            stage,
            broker,
            consumer,
            sink,
            snapshots=None,
            clock=clock,
            monotonic=clock,
            batch=400,
            side_every=0,
            executor=Inline(),
        )
        for stage, consumer, sink in zip(stages, consumers, sinks, strict=True)
    ]
    for rows in Reader(str(file), CARD).rows(CHUNK):
        first = int(rows.numbers[0]) - 1
        for line in rows.lines:
            broker.append(RAW, b"one partition", line, None, None)
        for runner in runners:
            for _ in range(5):
                runner.run_once()
        values = frames_on(broker, FEATURES)[first:]
        verdicts(broker, history.iloc[first : first + len(rows.lines)], values)
    found = frames_on(broker, SCORED)
    for runner in runners:
        runner.close()
    return Stream(broker, settings, CARD.scored_layout.unpack(found))


def verdicts(broker: MemoryBroker, part: pd.DataFrame, values: list[bytes]) -> None:
    rows = CARD.features_layout.rows(values)
    for name, fraud, user, merchant, row in zip(
        part["transaction_id"], part["label"], part["user_id"], part["merchant"], rows, strict=False
    ):
        label = label_of(
            CARD,
            name,
            int(row["event_us"]),
            [user, merchant],
            fraud=bool(fraud),
            values=row["values"],
        )
        broker.append(LABELS, name.encode(), msgspec.json.encode(label), None, None)


def check(cases: Cases, stream: Frames) -> None:
    """Everything that the stream's frames say."""
    side = decide_again(CARD, card_bundle()[1], cases, silent)
    assert [name.encode() for name in cases.ids] == stream.ids
    assert cases.log.values.tobytes() == stream.rows["values"].tobytes()
    assert side.scores.tobytes() == stream.rows["score"].tobytes()
    np.testing.assert_array_equal(side.decisions, stream.rows["decision"])
    flagged = np.flatnonzero(side.decisions).tolist()[:20]
    assert len(flagged) > 3
    assert side.why(flagged) == [
        [one["text"] for one in json.loads(stream.reasons[row])] for row in flagged
    ]


def test_a_file_is_decided_as_the_stream_did(stream: Stream, file: Path) -> None:
    cases = from_file(CARD, str(file), "", Span(), silent)
    assert (len(cases.ids), cases.read, cases.rejected, cases.duplicates) == (N, N + 2, 1, 1)
    check(cases, stream.frames)


def test_the_rows_of_the_database_are_decided_as_the_stream_did(stream: Stream) -> None:
    cases, decided = from_database(CARD, stream.settings, stream.broker, Span())
    check(cases, stream.frames)
    assert decided.name == f"as decided by {card_bundle()[1].hash}"
    assert decided.scores.tobytes() == stream.frames.rows["score"].tobytes()
    np.testing.assert_array_equal(decided.decisions, stream.frames.rows["decision"])
    flagged = np.flatnonzero(decided.decisions).tolist()[:5]
    assert decided.why(flagged) == [
        [one["text"] for one in json.loads(stream.frames.reasons[row])] for row in flagged
    ]
    assert decided.calibrated
    begin, end = (int(cases.log.times[at]) for at in (3000, 5000))
    part = from_database(CARD, stream.settings, stream.broker, Span(begin, end))[0]
    assert part.ids == [
        name for name, time in zip(cases.ids, cases.log.times, strict=True) if begin <= time < end
    ]


def test_a_retraining_reads_the_newest_of_the_same_rows(stream: Stream) -> None:
    cases = from_database(CARD, stream.settings, stream.broker, Span())[0]
    data = newdata.from_database(CARD, stream.settings.db_url, stream.broker, 2, None, None)
    newest = cases.log.times >= cases.log.times[-1] + 1 - 2 * DAY
    assert 0 < newest.sum() < N
    assert data.log.values.tobytes() == cases.log.values[newest].tobytes()
    np.testing.assert_array_equal(data.log.labels, cases.log.labels[newest])
    accounts = [name for name, new in zip(cases.accounts, newest, strict=True) if new]
    assert [accounts.index(name) for name in accounts] == [
        data.groups.tolist().index(one) for one in data.groups
    ]
    assert data.source.startswith("database, ")


def test_the_raw_topic_is_decided_as_the_stream_did(stream: Stream) -> None:
    broker = stream.broker
    before = {source: len(log) for source, log in broker.logs.items()}, set(broker.groups)
    cases = from_topic(CARD, broker, Span(), silent)
    check(cases, stream.frames)
    assert ({source: len(log) for source, log in broker.logs.items()}, set(broker.groups)) == before
    np.testing.assert_array_equal(
        np.bincount(cases.log.labels), np.bincount(simulate_history(CARD, 20_000, 1)["label"][:N])
    )


@pytest.mark.parametrize(
    ("topic", "champion", "name"),
    [
        (False, "", "as decided by {}"),
        (False, "champion", "champion {}"),
        (True, "", "champion {}"),
    ],
)
def test_the_command_finds_nothing_else(
    stream: Stream,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    topic: bool,
    champion: str,
    name: str,
) -> None:
    monkeypatch.setattr("cli.challenger._broker", lambda _settings: stream.broker)
    settings = stream.settings.model_copy(update={"profile": "card"})
    decide_past(
        settings,
        BundleBacktest(
            "champion", champion, "", "", AS_FOUND, topic, "", 0.05, "", "", 10, tmp_path
        ),
        as_json=False,
    )
    found = json.loads((tmp_path / "report.json").read_bytes())
    assert (found["rows"], found["verdicts"], found["disagreements"]["rows"]) == (N, N, 0)
    assert found["champion"]["name"] == name.format(card_bundle()[1].hash)
    assert found["champion"]["metrics"] == found["candidate"]["metrics"]
    assert found["rejected"] == topic


def test_a_span_decides_its_days_and_folds_all(file: Path) -> None:
    whole = from_file(CARD, str(file), "", Span(), silent)
    begin, end = (int(whole.log.times[at]) for at in (3000, 5000))
    part = from_file(CARD, str(file), "", Span(begin, end), silent)
    assert abs(part.rows.start - 3000) + abs(part.rows.stop - 5000) < 50  # equal times
    sides = [decide_again(CARD, card_bundle()[1], cases, silent).scores for cases in (whole, part)]
    np.testing.assert_array_equal(sides[0][part.rows], sides[1])
    assert from_file(CARD, str(file), "", Span(0, 1), silent).rows == slice(0, 0)


def test_labels_since_the_training_move_the_online_model(file: Path) -> None:
    """Each a label delay late."""
    bundle, cases = card_bundle()[1], from_file(CARD, str(file), "", Span(), silent)
    manifest = msgspec.structs.replace(
        bundle.manifest,
        training=msgspec.structs.replace(
            bundle.manifest.training, to_us=int(cases.log.times[4000])
        ),
    )
    early = Bundle(bundle.path, bundle.hash, manifest, bundle.detectors, bundle.ensemble)
    frozen, learning = (decide_again(CARD, one, cases, silent) for one in (bundle, early))
    matured = int(np.searchsorted(cases.log.times, cases.log.times[4000] + CARD.label_delay_us))
    np.testing.assert_array_equal(frozen.scores[:matured], learning.scores[:matured])
    assert not np.array_equal(frozen.scores[matured:], learning.scores[matured:])
    assert (frozen.seen, learning.seen) == (N, 4001)


def test_a_verdict_on_a_late_transaction_counts_no_sooner_than_its_neighbours(
    history: pd.DataFrame,
) -> None:
    """It comes a month late, so that its own time plus the label delay is over long before it."""
    late = int(np.flatnonzero(history["merchant"] == history["merchant"].mode()[0])[20])
    rows = read_frame(CARD, history).history
    rows.times[late] -= 30 * DAY
    before = fold(CARD, rows).copy()
    rows.labels[late] = 1 - rows.labels[late]
    changed = np.flatnonzero(
        (fold(CARD, rows) != before)[:, CARD.values.index("merchant_fraud_rate_30d")]
    )
    known = history["timestamp"].iloc[late] + pd.Timedelta(microseconds=CARD.label_delay_us)
    assert history["timestamp"].iloc[changed[0]] >= known
    assert (history["merchant"].iloc[changed] == history["merchant"].iloc[late]).all()
