"""One decision again: features from each step's log, the score from bundle and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from consumers.erasable import keyed_step
from consumers.preprocess import PreprocessStage
from consumers.replay.logs import Logs, PastWeights
from model.bundles.bundle import Bundle, Scores
from model.bundles.past_policies import Policies
from model.policy.facts import Rows
from model.sip import sip_key
from tidegate.broker.addresses import address_of, shown
from tidegate.broker.ports import Broker, Consumer
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import ConfigError
from tidegate.messages.frames import DECISIONS
from tidegate.messages.vault import Vault
from tidegate.pipeline import group_of
from tidegate.profile import Profile
from tidegate.stream.side_topic import SideLog, read_range
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Stage

Floats = NDArray[np.float64]


class Difference(NamedTuple):
    """A number of the row, and what it is when it is computed again; None stands for NaN."""

    name: str
    was: float | None
    now: float | None


class Replay:
    """Computes decisions again beside the running system: it joins no group and writes nothing.

    `vault` reads the payloads of an erasable profile.
    """

    def __init__(
        self,
        profile: Profile,
        broker: Broker,
        snapshots: Snapshots,
        bundles: Path,
        vault: Vault | None = None,
    ) -> None:
        self._profile, self._broker, self._vault = profile, broker, vault
        self._snapshots, self._bundles = snapshots, bundles

    def differences(self, row: Mapping[str, Any]) -> list[Difference]:
        """Where a row (as `db.store.Store.get` gives it) is not bit-equal; empty when it is.

        Raises ConfigError when the row's profile, its bundle or its part of the log is gone, Retry
        when the broker does not answer.
        """
        if row["profile"] != self._profile.hash.decode():
            raise ConfigError(
                f"the row was made by profile {row['profile']}, this is "
                f"{self._profile.hash.decode()}: "
                "name the file it was made by with --profile"
            )
        logs, side_reader = Logs(self._broker, self._snapshots), self._broker.consumer(None)
        try:
            differences, frame = self._features(row, logs, side_reader)
            values = np.array(frame["values"], np.float64)
            bundle = Bundle.load(self._bundles / row["bundle"])
            weights = PastWeights(self._profile, bundle, logs).at(row["online_labels"])
            scores = bundle.score(values, weights, without=row["degraded"])
        finally:
            logs.close()
            side_reader.close()
        return [
            *differences,
            *_compare(row["scores"], self._profile.models.names, scores.detectors[0]),
            *_compare({"score": row["score"]}, ["score"], scores.final),
            *self._decisions(row, bundle, frame, scores),
        ]

    def _decisions(
        self, row: Mapping[str, Any], bundle: Bundle, frame: NDArray[Any], scores: Scores
    ) -> list[Difference]:
        """The differences in what the models decide, and in what the row's policy makes of it."""
        policy = Policies(self._broker, self._profile).compiled(row["policy"] or "")
        if policy and policy.policy.thresholds:
            bundle = bundle.with_thresholds(policy.policy.thresholds)
        by_model = bundle.decide(scores.final, np.array([row["amount_minor"]]))
        decisions, hits = by_model, set[str]()
        if policy:
            outcome = policy.decide(_facts(row, frame, scores, by_model))
            decisions = outcome.decision
            hits = {part.name for bit, part in policy.parts.items() if outcome.hits[bit, 0]}
        was = {name: float(DECISIONS.index(row[name])) for name in ("model_decision", "decision")}
        now = np.array([by_model[0], decisions[0]], np.float64)
        return [
            *_compare(was, list(was), now),
            *(
                Difference(f"hit by {name}", float(name in row["rules_hit"]), float(name in hits))
                for name in sorted(hits.symmetric_difference(row["rules_hit"]))
            ),
        ]

    def _features(
        self, row: Mapping[str, Any], logs: Logs, side_reader: Consumer
    ) -> tuple[list[Difference], NDArray[Any]]:
        """The differences in inputs and features by each step's own log, and the row of the new
        frame (an array of one).
        """
        differences: list[Difference] = []
        frame: NDArray[Any] = np.zeros(0)
        traces = row["steps"]
        for number, trace in enumerate(traces):
            stage = keyed_step(
                self._profile, number, sip_key(self._broker.cluster_id()), self._vault
            )
            side = (
                SideLog(side_reader, side_reader.partitions(stage.side)[0]) if stage.side else None
            )
            frame = self._fold(stage, logs, side, trace)
            was = (
                row["features"]
                if trace is traces[-1]
                else self._handed_on(logs.reader, traces[number + 1])
            )
            differences += _compare(was, self._profile.values, frame["values"][0])
        return differences, frame

    def _handed_on(self, reader: Consumer, trace: Mapping[str, int]) -> dict[str, float | None]:
        """The values that a step found in its input."""
        source = TopicPartition(PreprocessStage(self._profile, 1).input, trace["partition"])
        frame = self._unpacked(_record(reader, source, _address(source, trace)).values)
        return {
            name: _plain(value)
            for name, value in zip(self._profile.values, frame["values"][0], strict=True)
        }

    def _unpacked(self, values: Sequence[bytes | None]) -> NDArray[Any]:
        layout = self._profile.features_layout
        return layout.rows([value for value in values if value is not None])[:1]

    def _fold(
        self, stage: PreprocessStage, logs: Logs, side: SideLog | None, trace: Mapping[str, int]
    ) -> NDArray[Any]:
        """The frame's row after a keyed step, on its state as it was at the record."""
        source = TopicPartition(stage.input, trace["partition"])
        address = _address(source, trace)
        record = _record(logs.reader, source, address)
        position = Position(address, self._note(stage, source))
        restorer = logs.restorer(stage, side)
        partition = restorer.load(source, position)
        restorer.catch_up_whole(partition, position)
        labels = max(trace["labels"], partition.side)
        processed = restorer.process(partition, record, labels, partition.pairs)
        emits = [emit for _, output in processed.results for emit in output.emits]
        if not emits:
            raise ConfigError(
                f"{source.topic}/{source.partition} offset {shown(source.topic, address)} is "
                "rejected now"
            )
        return self._unpacked(emits[0].values)

    def _note(self, stage: Stage[Any], source: TopicPartition) -> str:
        """The recorded order of the step's inputs, beside its committed position."""
        group = self._broker.watcher(group_of(stage.name))
        try:
            committed = group.committed([source])
        finally:
            group.close()
        return committed[source].note if source in committed else ""


def _facts(
    row: Mapping[str, Any], frame: NDArray[Any], scores: Scores, by_model: NDArray[np.uint8]
) -> Rows:
    """What the policy looked at."""
    return Rows(
        frame["values"],
        frame["keys"],
        scores.final,
        scores.detectors,
        by_model,
        np.array([row["ingested_us"]]),
        [row["payload"].encode()],
    )


def _address(source: TopicPartition, trace: Mapping[str, int]) -> int:
    """Where a step found its input."""
    return address_of(source.topic, trace["offset"], trace["index"])


def _record(reader: Consumer, source: TopicPartition, offset: int) -> Batch:
    """The one record at an offset. Raises ConfigError when the log no longer has it."""
    first, end = reader.bounds(source)
    batches = (
        list(read_range(reader, source, offset, offset + 1, 1)) if first <= offset < end else []
    )
    if not batches:
        raise ConfigError(
            f"{source.topic}/{source.partition} holds offsets {shown(source.topic, first)} to "
            f"{shown(source.topic, end)}, not {shown(source.topic, offset)} any more: "
            "the topic's retention has removed it, or the topic was made anew"
        )
    return batches[0]


def _compare(
    was: Mapping[str, float | None], names: Sequence[str], now: Floats
) -> list[Difference]:
    """By name, bit for bit; a NaN is None."""
    pairs = [
        Difference(name, was.get(name), _plain(value))
        for name, value in zip(names, now, strict=True)
    ]
    return [pair for pair in pairs if _bits(pair.was) != _bits(pair.now)]


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _bits(value: float | None) -> bytes:
    return b"" if value is None else np.float64(value).tobytes()
