"""The score stage: frames get scores and a decision, and reasons if they are flagged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consumers.alerts import alerts
from consumers.deadline import Deadline, Late
from consumers.handed_frames import take_frames
from consumers.repeats import redriven
from consumers.ruling import Ruling, count_hits, rule_on
from consumers.score_counts import count_decisions, count_degraded
from consumers.scored_frames import packed, widened
from model.bundles.bundle import Bundle, Scores
from model.bundles.serving import Model, Serving
from model.bundles.shared import SharedBundles
from model.detectors.base import Array, Detector
from model.hashing import hash64, key_hashes
from model.policy.facts import Rows
from tidegate import metrics
from tidegate.broker.records import Batch
from tidegate.errors import Retry
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.heartbeats import Prepared
from tidegate.pipeline import FEATURES, MODELS, SCORED
from tidegate.profile import Profile
from tidegate.stream.sources import Sources
from tidegate.stream.stage import Emit, NoState, Output, StatelessStage

_LOG = logging.getLogger(__name__)


class ScoreStage(StatelessStage):
    """Scores with the bundles that topic `models` names: see `model.bundles.serving`.

    `detector_seconds`: a batch is decided without a detector that takes longer for it; 0: however
    long one takes.
    """

    name = "score"
    input = FEATURES
    side: str | None = MODELS

    def __init__(
        self,
        profile: Profile,
        bundles_dir: Path,
        detector_seconds: float = 0.0,
        shared: SharedBundles | None = None,
    ) -> None:
        self._profile = profile
        self._deadline = Deadline(detector_seconds)
        self._input_layout, self._output_layout = profile.features_layout, profile.scored_layout
        self._account = (
            profile.hashed.index(profile.account) if profile.account in profile.hashed else -1
        )
        self._failing = set[tuple[str, str]]()
        self.serving = Serving(profile, bundles_dir, shared)

    @property
    def bundle(self) -> Bundle | None:
        """The champion with the online weights in use; None before the first promotion."""
        return self.serving.champion.bundle if self.serving.champion else None

    @property
    def models_offset(self) -> int:
        """The offset after the last absorbed record of the topic `models`."""
        return self.serving.offset

    @property
    def refused(self) -> str:
        """What of champion and policy cannot be loaded and why; empty while the newest decide."""
        return "; ".join(filter(None, (self.serving.refused, self.serving.policy_refused)))

    @property
    def policy(self) -> str:
        """The version of the policy in force; empty without one."""
        return self.serving.policy.version if self.serving.policy else ""

    @property
    def prepared(self) -> Prepared | None:
        """What came of an order to load a bundle for a promotion; None once that is decided."""
        return self.serving.prepared

    def absorb(self, _state: NoState, batch: Batch) -> None:
        """Switch bundles and weights; a champion that cannot be loaded changes nothing."""
        self.serving.absorb(batch)
        for model in filter(None, (self.serving.champion, self.serving.canary)):
            for detector in model.bundle.detectors:
                # An alert sees it rise only from a 0 that was there.
                metrics.DEGRADED.labels(detector.name)

    def new_state(self, _partition: int, _partitions: int) -> Sources:
        return Sources()

    def process(self, state: Sources, batch: Batch) -> Output:
        """Score whole frames, reject others. A frame that the step before has made again is scored
        again (its row is there, and stays), but no second alert goes out.

        Raises Retry before the first promotion and while no policy can decide, Stop for another
        profile's.
        """
        self.serving.retry()
        champion = self.serving.champion
        if champion is None and self.serving.refused:
            raise Retry(f"no champion can be loaded: {self.serving.refused}")
        if champion is None:
            raise Retry(
                "no champion yet on the topic models: `tidegate train` makes and promotes one"
            )
        if self.serving.waits_for_policy:
            raise Retry(
                f"no policy can decide: {self.serving.policy_refused}; apply another by "
                "`tidegate rules apply`"
            )
        frames, good, rejects = take_frames(self._input_layout, batch)
        output = Output(rejects=rejects)
        if not good:
            return output
        whole = batch.take(good) if rejects else batch
        rows = widened(self._output_layout, frames)
        rows["features_partition"] = batch.source.partition
        rows["features_offset"] = whole.offsets
        rows["scored_us"], rows["models_offset"] = batch.received_us, self.models_offset
        again = self._made_again(state, rows, whole)
        if self.serving.canary is None:
            self._score(champion, rows, frames, again, output)
        else:
            self._share(champion, self.serving.canary, rows, frames, again, output)
        return output

    @staticmethod
    def _made_again(state: Sources, rows: NDArray[Any], batch: Batch) -> NDArray[np.bool_]:
        """Which frames have been here before, by their place in the log of the step before."""
        put_back = redriven(batch.headers, range(len(batch)))
        again, source = np.zeros(len(rows), np.bool_), rows["steps"][~put_back, -1]
        again[~put_back] = state.repeats(
            source["partition"], source["offset"], rows["ingest_us"][~put_back]
        )
        return again

    def _share(
        self,
        champion: Model,
        canary: Model,
        rows: NDArray[Any],
        frames: FrameColumn,
        again: NDArray[np.bool_],
        output: Output,
    ) -> None:
        """Score the canary's share by the canary, or where it is late by the champion."""
        to_canary = self._to_canary(rows, frames)
        for model, chosen in (
            (champion, np.flatnonzero(~to_canary)),
            (canary, np.flatnonzero(to_canary)),
        ):
            if not len(chosen):
                continue
            share = rows[chosen], frames.take(chosen), again[chosen]
            try:
                self._score(model, *share, output)
            except Late:
                if model is champion:
                    raise
                self._score(champion, *share, output)

    def _to_canary(self, rows: NDArray[Any], frames: FrameColumn) -> NDArray[np.bool_]:
        """Rows of the canary's accounts; a profile without accounts shares its transactions out."""
        hashes = rows["keys"][:, self._account] if self._account >= 0 else hash64(frames.ids)
        return np.asarray((hashes >> np.uint64(11)) * 2.0**-53 < self.serving.share)

    def _score(
        self,
        model: Model,
        rows: NDArray[Any],
        frames: FrameColumn,
        again: NDArray[np.bool_],
        output: Output,
    ) -> None:
        """Score, decide and explain whole frames by one bundle, into `output`."""
        bundle = model.bundle
        rows["bundle"], rows["online_labels"] = bundle.hash, model.online_labels
        values = np.ascontiguousarray(rows["values"])
        scores = self._scores(bundle, values)
        rows["score"], rows["scores"][:, :-1] = scores.final, scores.detectors
        self._log_left_out(bundle, scores.failures)
        by_model = bundle.decide(scores.final, rows["amount_minor"])
        rows["model_decision"] = by_model
        rows["scores"][:, -1] = self._shadow_scores(rows, by_model, output)
        facts = Rows(
            values,
            rows["keys"],
            scores.final,
            scores.detectors,
            by_model,
            rows["ingest_us"],
            frames.payloads,
        )
        ruling = rule_on(self._profile, bundle, self.serving.policy, rows, facts)
        scored = packed(rows, frames, ruling.told, ruling.why)
        output.emits.append(Emit(SCORED, frames.ids, scored, hashes=key_hashes(frames.ids)))
        self._alert(rows, frames, ruling, again, output)
        output.on_commit += [
            partial(count_decisions, rows["decision"], scores.final),
            partial(count_degraded, bundle, scores),
            partial(count_hits, ruling),
        ]

    def _alert(
        self,
        rows: NDArray[Any],
        frames: FrameColumn,
        ruling: Ruling,
        again: NDArray[np.bool_],
        output: Output,
    ) -> None:
        """An alert for each flagged row that has none yet, and is not to be quiet."""
        loud = (rows["decision"] > 0) & ~again & ~ruling.quiet
        new = np.flatnonzero(loud[ruling.told])
        if len(new):
            told = ruling.told[new]
            why = [ruling.why[i] for i in new.tolist()]
            rules = [ruling.rules.get(i, []) for i in told.tolist()]
            output.emits.append(alerts(self._profile, rows, frames, told, why, rules))

    def _scores(self, bundle: Bundle, values: Array) -> Scores:
        """Raises Late when all detectors are; the batch comes again, and they get more time."""
        try:
            scores = bundle.score(values, call=self._call(bundle))
        except Late:
            self._deadline.wait_longer()
            raise
        self._deadline.wait_as_usual()
        return scores

    def _call(self, bundle: Bundle) -> Callable[[Detector, Array], Array]:
        return partial(self._deadline.score, bundle.hash)

    def _shadow_scores(
        self, rows: NDArray[Any], decisions: NDArray[np.uint8], output: Output
    ) -> Array:
        """The shadow's scores f8[n]; NaN without one, or when it fails or is late."""
        shadow = self.serving.shadow
        nothing = np.full(len(rows), np.nan)
        if shadow is None:
            return nothing
        try:
            scores = shadow.score(np.ascontiguousarray(rows["values"]), call=self._call(shadow))
        except Exception as error:  # noqa: BLE001 - whatever it is, the shadow decides nothing
            self._log_left_out(shadow, dict.fromkeys(shadow.manifest.detectors, error))
            return nothing
        self._log_left_out(shadow, scores.failures)
        same = int((shadow.decide(scores.final, rows["amount_minor"]) == decisions).sum())
        output.on_commit += [
            partial(metrics.SHADOW.labels("same").inc, same),
            partial(metrics.SHADOW.labels("other").inc, len(rows) - same),
        ]
        return scores.final

    def _log_left_out(self, bundle: Bundle, failures: Mapping[str, Exception]) -> None:
        """An error once, until the detector works again."""
        for name, error in failures.items():
            if (bundle.hash, name) not in self._failing:
                _LOG.error(
                    "detector %s of bundle %s %s and is left out",
                    name,
                    bundle.hash,
                    "is late" if isinstance(error, Late) else "failed",
                    exc_info=error,
                )
        of_other_bundles = {pair for pair in self._failing if pair[0] != bundle.hash}
        self._failing = of_other_bundles.union((bundle.hash, name) for name in failures)
