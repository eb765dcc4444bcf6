"""All policies that were ever in force in a profile: each record of `promotions` is read once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from model.bundles.manifest import read_manifest
from model.bundles.promotion import model_message
from model.ensemble.thresholds import Rule, rule
from model.policy.compiled import CompiledPolicy, names_of
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch
from tidegate.errors import ConfigError, Stop
from tidegate.messages.policy import AppliedPolicy, Policy
from tidegate.pipeline import PROMOTIONS
from tidegate.profile import Profile
from tidegate.stream.side_topic import read_range

_POLL = 4000
_HELD = 16 << 20
"""Bytes of documents held, as messages have them; those behind are read again when asked for."""


class Past(NamedTuple):
    """A policy that was in force from `applied_us` on, but for its document, which is at `offset`.

    `names` are those of the bits of what hit.
    """

    version: str
    applied_us: int
    by: str
    proposed_by: str
    thresholds: dict[str, float]
    rules: int
    lists: int
    names: dict[int, str]
    offset: int


class Policies:
    """Policies of any time by their version, as rows name them. Thread-safe.

    What a version says never changes, so one that is known is answered without a look at the topic.
    Where the topic was made anew or has lost its beginning, all is read anew.
    """

    def __init__(self, broker: Broker, profile: Profile, held: int = _HELD) -> None:
        self._broker, self._profile, self._most = broker, profile, held
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._next = 0
        self._start: int | None = None
        self._past: list[Past] = []
        self._by_version: dict[str, Past] = {}
        self._documents: OrderedDict[str, tuple[Policy, int]] = OrderedDict()
        self._held = 0

    def history(self) -> list[Past]:
        """All, oldest first, as new as the topic. Raises Retry, ConfigError without the topic."""
        with self._lock:
            self._read_on()
            return list(self._past)

    def get(self, version: str) -> Policy:
        """Raises ConfigError for one that the topic does not have, Retry."""
        own = self._profile.policy
        if version == own.version:
            return own
        with self._lock:
            if version not in self._documents:
                self._read_document(version)
            self._documents.move_to_end(version)
            return self._documents[version][0]

    def applied_since(self, version: str, since_us: int) -> bool:
        """Whether one came into force at that time or later. Raises as `history`."""
        return any(
            past.version == version and past.applied_us >= since_us for past in self.history()
        )

    def names(self, version: str) -> dict[int, str]:
        """What each bit of the hits stands for. Raises as `get`."""
        own = self._profile.policy
        if version == own.version:
            return names_of(own)
        with self._lock:
            return self._known(version).names

    def decided_by(self, version: str | None, bundles: Path, bundle: str) -> Rule:
        """The thresholds of a row that names this policy and bundle: those of the policy where it
        sets any, else the bundle's own. Raises ConfigError where one is gone, Retry.
        """
        chosen: dict[str, float] = {}
        if version and version != self._profile.policy.version:
            with self._lock:
                chosen = self._known(version).thresholds
        return rule(chosen or read_manifest(bundles / bundle).thresholds)

    def compiled(self, version: str) -> CompiledPolicy | None:
        """One made ready; None for "" (no policy was in force). Raises as `get`, PolicyFault."""
        return CompiledPolicy(self.get(version), self._profile) if version else None

    def _known(self, version: str) -> Past:
        if version not in self._by_version:
            self._read_on()
        if version not in self._by_version:
            raise ConfigError(
                f"the policy {version} is neither on the topic {PROMOTIONS} nor the profile's own: "
                "name the profile's file of that time by --profile"
            )
        return self._by_version[version]

    def _read_document(self, version: str) -> None:
        for _ in range(2):
            offset = self._known(version).offset
            if version not in self._documents:
                self._read(offset, offset + 1)
            if version in self._documents:
                return
            self._clear()  # another record is there now: the topic was made anew
        raise ConfigError(f"the policy {version} is not on the topic {PROMOTIONS} any more")

    def _read_on(self) -> None:
        self._read(None, None)

    def _read(self, start: int | None, stop: int | None) -> None:
        """From `start` (None: where the last read ended) to before `stop` (None: the end)."""
        consumer = self._broker.consumer(None)
        try:
            (source,) = consumer.partitions(PROMOTIONS)
            first, end = consumer.bounds(source)
            if end < self._next or first > (first if self._start is None else self._start):
                self._clear()
                start = stop = None
            self._start = first
            begin = self._next if start is None else start
            last = end if stop is None else min(stop, end)
            for batch in read_range(consumer, source, max(first, begin), last, _POLL):
                self._absorb(batch)
        except Stop as error:  # it was made anew at this moment: the next look reads it
            raise ConfigError(str(error)) from error
        finally:
            consumer.close()

    def _absorb(self, batch: Batch) -> None:
        name = self._profile.hash.decode()
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            message = model_message(value)
            if isinstance(message, AppliedPolicy) and message.profile == name:
                self._take(message, offset, len(value or b""))
        self._next = max(self._next, batch.next_offset)

    def _take(self, applied: AppliedPolicy, offset: int, size: int) -> None:
        policy = applied.policy
        if offset >= self._next:
            names, thresholds = names_of(policy), policy.thresholds
            if self._past and self._past[-1].names == names:
                names = self._past[-1].names  # mostly entries change: 13 KB a version otherwise
            if self._past and self._past[-1].thresholds == thresholds:
                thresholds = self._past[-1].thresholds
            past = Past(
                applied.version,
                applied.applied_us,
                applied.by,
                applied.proposed_by,
                thresholds,
                len(policy.rules),
                len(policy.lists),
                names,
                offset,
            )
            self._past.append(past)
            self._by_version[applied.version] = past
        self._hold(applied.version, policy, size)

    def _hold(self, version: str, policy: Policy, size: int) -> None:
        """Keep the newest documents, at least one."""
        _, before = self._documents.pop(version, (policy, 0))
        self._documents[version] = policy, size
        self._held += size - before
        while self._held > self._most and len(self._documents) > 1:
            _, (_, gone) = self._documents.popitem(last=False)
            self._held -= gone
