"""Training and serving share one operator: the same features from the stream, from a file, and from
a history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from consumers.preprocess import PreprocessStage
from model.files.reader import Reader
from model.history.fold import fold
from producers.simulator.history import read_frame, simulate_history
from tests.blocks import frames_on
from tests.model.features.chain import NOW_MS, Chain, label_of
from tests.stream.crash import Clock, Inline
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.documents import Label
from tidegate.pipeline import DLQ, FEATURES, LABELS, RAW, TOPICS, group_of
from tidegate.profile import Profile, load_profile
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink

Floats = NDArray[np.float64]
_CHUNK = 500
"""Fewer transactions than come in the label delay, so that no verdict comes after it matured."""


@pytest.fixture(
    scope="module", params=["handbook", "card", "sequences", "tests/data/transfers.yaml"]
)
def profile(request: pytest.FixtureRequest) -> Profile:
    return load_profile(request.param)


@pytest.fixture(scope="module")
def history(profile: Profile) -> pd.DataFrame:
    """Transactions with a column `label`, stretched over the hundred days before `NOW_MS` so that
    verdicts mature.
    """
    assert profile.time_field
    world = load_profile("handbook") if profile.name == "sequences" else profile
    frame = simulate_history(world, 12_000, seed=4)
    times = pd.to_datetime(frame[profile.time_field], utc=True)
    stretch = pd.Timedelta(days=100) / (times.iloc[-1] - times.iloc[0])
    times = (
        pd.Timestamp(NOW_MS, unit="ms", tz="UTC") - (times.iloc[-1] - times) * stretch
    ).dt.round("s")
    frame = frame.assign(**{profile.time_field: times.dt.strftime("%Y-%m-%dT%H:%M:%SZ")})
    return as_transfers(profile, frame) if profile.name == "transfers" else frame


def as_transfers(profile: Profile, frame: pd.DataFrame) -> pd.DataFrame:
    """Amounts of trillions, some of them negative, and every fifth payment without a merchant."""
    signs = np.where(np.arange(len(frame)) % 7, 1, -1)
    large = (frame["amount"] / frame["amount"].max() * signs * 9_999_999_999_999.99).round(2)
    merchant = frame["merchant"].where(np.arange(len(frame)) % 5 > 0, None)
    changed = frame.assign(amount=large, merchant=merchant)
    return changed[[name for name in (*profile.fields, "label") if name in changed]]


@pytest.fixture(scope="module")
def folded(profile: Profile, history: pd.DataFrame) -> Floats:
    return fold(profile, read_frame(profile, history).history)


def lines(profile: Profile, history: pd.DataFrame, folder: Path) -> Iterator[list[bytes]]:
    """The history as a file of transactions, read as `tidegate send` reads it."""
    path = folder / "history.parquet"
    history.to_parquet(path)
    for rows in Reader(str(path), profile).rows(_CHUNK):
        yield rows.lines


def labels(profile: Profile, history: pd.DataFrame, start: int, values: Floats) -> list[Label]:
    """The verdicts on the transactions from number `start` on, with the features they were judged
    by.
    """
    part = history.iloc[start : start + len(values)]
    times = pd.to_datetime(part[profile.time_field], utc=True).dt.as_unit("us").astype("int64")
    entities = part[list(profile.entities)].astype(object).to_numpy().tolist()
    return [
        label_of(
            profile,
            str(name),
            int(time),
            [None if key is None else str(key) for key in keys],
            fraud=bool(fraud),
            values=row,
        )
        for name, time, keys, fraud, row in zip(
            part[profile.id_field], times, entities, part["label"], values, strict=True
        )
    ]


def through(
    profile: Profile,
    history: pd.DataFrame,
    folder: Path,
    step: Callable[[list[bytes], int], Floats],
    label: Callable[[list[Label], int], None],
) -> Floats:
    """The features of a file sent in parts, with the verdicts on each part after it."""
    parts, start = [], 0
    for part in lines(profile, history, folder):
        parts.append(step(part, start))
        label(labels(profile, history, start, parts[-1]), start)
        start += len(part)
    return np.concatenate(parts)


def test_a_replayed_file_gives_the_features_of_the_history(
    profile: Profile, history: pd.DataFrame, folded: Floats, tmp_path: Path
) -> None:
    chain = Chain(profile)

    def step(part: list[bytes], start: int) -> Floats:
        frames, rejects = chain.run(part, start)
        assert not rejects
        return np.array(frames.rows["values"])

    assert through(profile, history, tmp_path, step, chain.absorb).tobytes() == folded.tobytes()


def test_the_stream_gives_the_features_of_the_history(
    profile: Profile, history: pd.DataFrame, folded: Floats, tmp_path: Path
) -> None:
    broker = MemoryBroker(dict.fromkeys(TOPICS, 1), time_ms=NOW_MS)
    runners = [runner(broker, profile, number) for number in range(profile.steps)]

    def step(part: list[bytes], start: int) -> Floats:
        for line in part:
            broker.append(RAW, b"one partition", line, None, None)
        for one in runners:
            assert sum(one.run_once() for _ in range(5)) == len(part)
        values = frames_on(broker, FEATURES)[start:]
        return np.array(profile.features_layout.unpack(values).rows["values"])

    def label(found: list[Label], start: int) -> None:  # noqa: ARG001 - the log counts by itself
        for one in found:
            broker.append(LABELS, one.transaction_id.encode(), msgspec.json.encode(one), None, None)

    stream = through(profile, history, tmp_path, step, label)
    assert broker.committed_records(DLQ) == []
    assert stream.tobytes() == folded.tobytes()


def runner(broker: MemoryBroker, profile: Profile, number: int) -> Runner:
    clock, stage = Clock(), PreprocessStage(profile, number)
    consumer = broker.consumer(group_of(stage.name))
    sink = KafkaSink(broker, consumer, stage.name, instance="0", profile=profile.hash, clock=clock)
    return Runner(
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


def test_the_history_has_frauds_that_matter(profile: Profile, folded: Floats) -> None:
    """Or the tests above would compare constants."""
    for name in profile.computed:
        column = folded[:, profile.values.index(name)]
        assert len(np.unique(column[~np.isnan(column)])) > 1, name


@pytest.mark.parametrize("profile", ["tests/data/transfers.yaml"], indirect=True)
def test_without_a_second_entity_its_features_are_missing_and_no_others(
    profile: Profile, history: pd.DataFrame, folded: Floats
) -> None:
    without = history["merchant"].isna().to_numpy()
    own = [name for name in profile.computed if name.startswith("merchant_")]
    columns = [profile.values.index(name) for name in own]
    assert np.isnan(folded[np.ix_(without, columns)]).all()
    assert (folded[without, profile.values.index("unusual")] == 0).all()
    rest = fold(profile, read_frame(profile, history[~without]).history)
    assert rest[:, columns].tobytes() == folded[~without][:, columns].tobytes()
