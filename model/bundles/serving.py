"""What decides, by the messages of topic `models`: champion, shadow, canary and policy."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.bundles.bundle import Bundle
from model.bundles.fetching import Fetching, Loading
from model.bundles.promotion import model_message
from model.bundles.reasons import reasons
from model.bundles.shared import SharedBundles
from model.policy.compiled import CompiledPolicy
from model.policy.program import warm_up
from tidegate.broker.records import Batch
from tidegate.errors import ConfigError, TidegateError
from tidegate.messages.documents import (
    Canary,
    Champion,
    ModelMessage,
    OnlineWeights,
    Prepare,
    Shadow,
)
from tidegate.messages.frames import NONE
from tidegate.messages.heartbeats import Prepared
from tidegate.messages.policy import AppliedPolicy
from tidegate.metrics import CHAMPION_REFUSED, MODEL_INFO, ONLINE_LABELS, POLICY_REFUSED
from tidegate.profile import Profile

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 10.0
"""Between two attempts to load a bundle that could not be loaded."""
_FETCHING_SECONDS = 0.5
"""Between two looks whether one has been fetched."""
_EARLIER = 10
"""Champions before the newest that a scorer without any falls back to."""


class Model(NamedTuple):
    """A bundle with the online weights in use.

    `online_labels` is the offset on the labels topic up to which these have learnt.
    """

    bundle: Bundle
    online_labels: int


class Serving:
    """Folds the topic `models`; a record read again changes nothing. Raises PolicyFault at once for
    rules in the profile that cannot be.

    A champion that cannot be loaded is refused: the one before it goes on scoring. A bundle that
    is not in the folder is fetched from `shared`, beside the scoring. What cannot be loaded is
    tried again by `retry`.
    """

    def __init__(
        self, profile: Profile, bundles_dir: Path, shared: SharedBundles | None = None
    ) -> None:
        self._profile, self._folder = profile, bundles_dir
        self._fetching = Fetching(shared) if shared else None
        self._weights: dict[str, OnlineWeights] = {}
        self._promoted: list[str] = []
        self._retry_at = 0.0
        self._missing: dict[type, tuple[Shadow | Canary, str]] = {}
        self._trained: Bundle | None = None
        self._shadow: Bundle | None = None
        self._ready: Bundle | None = None
        self._canary: Bundle | None = None
        self.shadow: Bundle | None = None
        self.champion: Model | None = None
        """None before the first promotion."""
        self.canary: Model | None = None
        """None where there is none, or where it is the champion by now."""
        self.share = 0.0
        """Of the accounts that the canary decides for."""
        self.offset = 0
        """The offset after the last absorbed record."""
        self.refused = ""
        """The newest champion and why it cannot be loaded; empty while it scores."""
        self.prepared: Prepared | None = None
        """What came of an order to load a bundle for a promotion; None once that is decided."""
        own = profile.policy
        self.policy = CompiledPolicy(own, profile) if own.rules else None
        """The policy in force; None without one."""
        self.policy_refused = ""
        """The newest policy and why it cannot decide; empty while it does."""
        self._applied = False

    @property
    def waits_for_policy(self) -> bool:
        """Whether a policy was applied, and none that can decide is known: without its block lists
        nothing may be decided. The topic is compacted, so after a start the one before is gone.
        """
        return bool(self.policy_refused) and not self._applied

    def absorb(self, batch: Batch) -> None:
        """Switch bundles and weights."""
        newest: dict[type, tuple[ModelMessage, int]] = {}
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            if offset < self.offset:
                continue
            message = model_message(value)
            if isinstance(message, OnlineWeights):
                self._weights[message.bundle] = message
            elif message is None and value is not None:
                _LOG.warning("topic models, offset %d: not a message this version knows", offset)
            elif message is not None and message.profile.encode() == self._profile.hash:
                newest[type(message)] = message, offset
                if isinstance(message, Champion):
                    self._note_promotion(message)
                    newest.pop(Prepare, None)  # what was to be loaded before has been decided
        self._follow(newest)
        self.offset = max(self.offset, batch.next_offset)
        self._switch()

    def _follow(self, newest: Mapping[type, tuple[ModelMessage, int]]) -> None:
        if Champion in newest:
            self._promote()
            self.prepared = None
        for message, offset in newest.values():
            if isinstance(message, Prepare):
                self._prepare(message.bundle, offset)
            elif isinstance(message, Shadow | Canary):
                self._load_beside(message)
            elif isinstance(message, AppliedPolicy):
                self._apply(message)

    def _apply(self, message: AppliedPolicy) -> None:
        """Decide by a policy from now on, or go on with the one before."""
        fault = ""
        try:
            policy = CompiledPolicy(message.policy, self._profile)
            if policy.version != message.version:  # an older version knows less of it
                fault = "this version of Tidegate reads it differently than the one that wrote it"
        except ConfigError as error:
            fault = str(error)
        if fault:
            before = self.policy.version if self.policy and self._applied else ""
            remains = f"{before} goes on" if before else "scoring waits for one that can decide"
            _LOG.error("policy %s is refused, %s: %s", message.version, remains, fault)
            self.policy_refused = f"policy {message.version}: {fault}"
        else:
            _LOG.info("deciding by policy %s", message.version)
            self.policy, self.policy_refused, self._applied = policy, "", True
        POLICY_REFUSED.set(bool(fault))

    def retry(self) -> None:
        """Try again when it is time: a folder may have come meanwhile."""
        loading = self.prepared if self.prepared and self.prepared.loading else None
        waiting = self.refused or self._missing or loading
        if not waiting or time.monotonic() < self._retry_at:
            return
        if self.refused:
            self._promote()
        if loading:
            self._prepare(loading.bundle, loading.offset)
        for message, _ in list(self._missing.values()):
            self._load_beside(message)
        self._switch()

    def _note_promotion(self, message: Champion) -> None:
        for name in (message.previous, message.bundle):
            if name:
                self._promoted = [other for other in self._promoted if other != name]
                self._promoted.append(name)
        self._promoted = self._promoted[-_EARLIER - 1 :]

    def _prepare(self, bundle: str, offset: int) -> None:
        """Load a bundle beside the champion, for a promotion that may follow."""
        self._ready = prepared = None
        if bundle:
            self._ready, fault, loading = self._attempt(bundle)
            prepared = Prepared(bundle, offset, fault, loading)
        self.prepared = prepared  # a heartbeat meanwhile still says what came of it before

    def _promote(self) -> None:
        """Score with the newest champion that can be loaded, or go on with the present one."""
        newest = self._promoted[-1]
        fault = self._adopt(newest)
        if not fault:
            self._set_refused("")
            return
        if self._trained is None:
            for earlier in reversed(self._promoted[:-1]):
                if not self._adopt(earlier):
                    break
        scores = f"bundle {self._trained.hash} goes on scoring" if self._trained else "none scores"
        refused = f"{newest}: {fault}"
        if refused != self.refused:
            _LOG.error("champion %s is refused, %s: %s", newest, scores, fault)
        self._set_refused(refused)

    def _set_refused(self, refused: str) -> None:
        self.refused = refused
        CHAMPION_REFUSED.set(bool(refused))

    def _adopt(self, name: str) -> str:
        """Score with a bundle from now on; what keeps it from that, or empty."""
        bundle, fault, _ = self._attempt(name)
        if bundle is not None and bundle is not self._trained:
            self._trained, self._ready = bundle, None
            _LOG.info("scoring with bundle %s", name)
            MODEL_INFO.clear()
        return fault

    def _attempt(self, name: str) -> tuple[Bundle | None, str, bool]:
        """A bundle that can score, or None, why there is none, and whether it is being fetched."""
        for loaded in (self._trained, self._ready):
            if loaded is not None and loaded.hash == name:
                return loaded, "", False
        try:
            return self._load(name), "", False
        except Loading as error:
            self._again_in(_FETCHING_SECONDS)
            return None, str(error), True
        except TidegateError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the present bundle still scores
            fault = f"{type(error).__name__}: {error}"
        self._again_in(_RETRY_SECONDS)
        return None, fault, False

    def _again_in(self, seconds: float) -> None:
        now = time.monotonic()
        planned = self._retry_at if self._retry_at > now else now + seconds
        self._retry_at = min(planned, now + seconds)

    def _load_beside(self, message: Shadow | Canary) -> None:
        """A shadow or canary that cannot be loaded is left out: the champion still decides."""
        bundle, fault = None, ""
        if message.bundle:
            bundle, fault, _ = self._attempt(message.bundle)
        kind = type(message)
        known = self._missing.pop(kind, None)
        if fault:
            self._missing[kind] = message, fault
            if known != (message, fault):
                _LOG.error("no %s scores: %s", kind.__name__.lower(), fault)
        if isinstance(message, Shadow):
            self._shadow = bundle
        else:
            self._canary, self.share = bundle, message.share

    def _switch(self) -> None:
        if self._trained is None:
            return
        self.shadow = self._with_thresholds(self._shadow) if self._shadow else None
        self.champion = self._in_use(self._trained)
        if self._canary is None or self._canary.hash == self._trained.hash:
            self.canary = None
        else:
            self.canary = self._in_use(self._canary)
        MODEL_INFO.labels(self._trained.hash).set(self.offset)
        ONLINE_LABELS.set(max(self.champion.online_labels, 0))

    def _with_thresholds(self, bundle: Bundle) -> Bundle:
        """The bundle with the policy's thresholds, if it has any."""
        thresholds = self.policy.policy.thresholds if self.policy else {}
        return bundle.with_thresholds(thresholds) if thresholds else bundle

    def _in_use(self, bundle: Bundle) -> Model:
        online = self._weights.get(bundle.hash)
        bundle = self._with_thresholds(bundle)
        if online is None:
            return Model(bundle, NONE)
        weights = np.frombuffer(online.weights, "<f8").astype(np.float64)
        return Model(bundle.with_weights(weights), online.labels)

    def _load(self, name: str) -> Bundle:
        if Path(name).name != name:
            raise ConfigError(
                f"the champion {name!r} on the topic models is no bundle's hash: promote another"
            )
        if self._fetching:
            self._fetching.fetch(name)
        bundle = Bundle.load(self._folder / name)
        expected = (list(self._profile.values), self._profile.models.names)
        if (bundle.manifest.values, bundle.manifest.detectors) != expected:
            raise ConfigError(
                f"bundle {bundle.path}: trained for other columns or models than "
                f"{self._profile.path} has; train one with `tidegate train`"
            )
        self._warm_up(bundle)
        return bundle

    def _warm_up(self, bundle: Bundle) -> None:
        """Score and explain a row without values once: no batch has to wait for a compilation."""
        values = np.full((1, len(self._profile.values)), np.nan)
        scores = bundle.score(values).detectors
        reasons(bundle, self._profile, values, np.zeros(1, np.int64), scores)
        warm_up()
