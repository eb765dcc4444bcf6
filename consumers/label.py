"""The label stage: a verdict, joined with its row, becomes a label that needs no look-up.

A label's id is the verdict's `label_id`, or else follows from transaction, verdict and source: the
same source saying the same again is one label. A verdict that corrects an earlier one is a label of
its own, learnt as a new observation.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from consumers.quota import Quota, share
from tidegate.broker.records import Batch
from tidegate.errors import Rejected
from tidegate.messages.documents import (
    Label,
    Verdict,
    VerdictOutcome,
    encode,
    label_id_of,
)
from tidegate.messages.verdict_records import read_verdict
from tidegate.pipeline import FEEDBACK, LABELS, OTHER_PROFILE, OUTCOMES, OVER_QUOTA
from tidegate.profile import Profile
from tidegate.stream.dead_letters import recorded_ms
from tidegate.stream.stage import Emit, Output, Reject, StatelessStage

if TYPE_CHECKING:
    from db.decode import ScoredRow

    Lookup = Callable[[list[str]], Mapping[str, ScoredRow]]

_LOG = logging.getLogger(__name__)
_PASSED = frozenset({OTHER_PROFILE, OVER_QUOTA})
Drained = Callable[[int, int], bool]
"""Whether all transactions that were recorded by a time are rows or dead letters, and what time it
is now, both in us by the log's clock.
"""


class LabelStage(StatelessStage):
    """Looks up each batch's rows at once.

    A verdict without a row waits until it is `wait_s` old, and longer while transactions that were
    recorded by then are still under way, as `drained` says. A row of another version of the profile
    is as good as one of this version if `same_columns` says so of that version's hash; otherwise
    the verdict is passed over. So is one that is over its source's quota, each partition of the
    topic having a share of it. What becomes no label is told on topic outcomes.
    """

    name = "label"
    input = FEEDBACK

    def __init__(
        self,
        profile: Profile,
        lookup: Lookup,
        wait_s: float = 30.0,
        drained: Drained = lambda _time_us, _now_us: True,
        same_columns: Callable[[str], bool] = lambda _version: False,
    ) -> None:
        self._profile, self._lookup, self._drained = profile, lookup, drained
        self._hash, self._same_columns = profile.hash.decode(), same_columns
        self._wait_us = int(wait_s * 1_000_000)
        self._passed_versions: set[str] = set()

    def new_state(self, _partition: int, partitions: int) -> Quota:
        return Quota(share(self._profile.sources.hourly, partitions))

    def process(self, state: Quota, batch: Batch) -> Output:
        """Labels for verdicts whose rows are there; the look-up may raise Retry."""
        output = Output()
        verdicts = self._read(batch, output)
        over = self._over_quota(state, batch, verdicts)
        ids = sorted({verdict.transaction_id for verdict in verdicts.values()})
        late = {index for index in verdicts if self._is_late(batch, index)}
        rows = self._lookup(ids) if ids else {}  # what is late has had its last chance by now
        labels: list[Label] = []
        told = [_over(verdict, batch.offsets[index]) for index, verdict in over.items()]
        for index, verdict in verdicts.items():
            row = rows.get(verdict.transaction_id)
            if row is None and index in late:
                reject = self._unknown(index, verdict)
                output.rejects.append(reject)
                told.append(_refused(verdict, reject, batch.offsets[index]))
            elif row is None:
                output.waits.append(index)
            elif self._fits(row):
                recorded = recorded_ms(batch.headers[index], batch.timestamps[index])
                labels.append(self._label(verdict, row, recorded))
            else:
                told.append(self._pass_over(verdict, row, batch.offsets[index]))
        _emit(output, LABELS, [(label.transaction_id, encode(label)) for label in labels])
        _emit(output, OUTCOMES, [(outcome.label_id, encode(outcome)) for outcome in told])
        output.passed = Counter(outcome.reason for outcome in told if outcome.reason in _PASSED)
        return output

    def _read(self, batch: Batch, output: Output) -> dict[int, Verdict]:
        """The verdicts that can be read, by index; the others are rejects."""
        verdicts: dict[int, Verdict] = {}
        for index, value in enumerate(batch.values):
            try:
                verdict = read_verdict(value)
            except Rejected as error:
                output.rejects.append(Reject(index, error.reason, error.detail))
                continue
            verdict.transaction_id = self._profile.stored_id(verdict.transaction_id)
            verdicts[index] = verdict
        return verdicts

    @staticmethod
    def _over_quota(state: Quota, batch: Batch, verdicts: dict[int, Verdict]) -> dict[int, Verdict]:
        """Count all verdicts, and take out of them those that are over their source's quota."""
        over = [
            index
            for index, verdict in verdicts.items()
            if not state.admit(batch.offsets[index], verdict.source, batch.timestamps[index])
        ]
        return {index: verdicts.pop(index) for index in over}

    def _label(self, verdict: Verdict, row: ScoredRow, recorded_ms: int) -> Label:
        return Label(
            label_id=label_id_of(verdict),
            fraud=verdict.verdict == "fraud",
            source=verdict.source,
            given_us=verdict.given_us or recorded_ms * 1000,
            weight=self._profile.sources.weights.get(verdict.source, 1.0),
            **row._replace(profile=self._hash)._asdict(),
        )

    def _fits(self, row: ScoredRow) -> bool:
        """Whether the row's values are what this version of the profile would call by their names.

        May raise Retry.
        """
        return row.profile == self._hash or self._same_columns(row.profile)

    def _pass_over(self, verdict: Verdict, row: ScoredRow, offset: int) -> VerdictOutcome:
        detail = (
            f"its transaction was scored by version {row.profile} of the profile, whose columns "
            f"are not those of {self._hash}"
        )
        if row.profile not in self._passed_versions:
            self._passed_versions.add(row.profile)
            _LOG.warning(
                "verdict %s is passed over: %s; later ones on such rows are only counted",
                label_id_of(verdict),
                detail,
            )
        return VerdictOutcome(
            label_id_of(verdict),
            verdict.transaction_id,
            "passed_over",
            OTHER_PROFILE,
            detail,
            offset,
        )

    def _is_late(self, batch: Batch, index: int) -> bool:
        """Whether the row of this verdict, if it is not there, is not to come any more."""
        until_us = batch.timestamps[index] * 1000 + self._wait_us
        return batch.log_us > until_us and self._drained(until_us, batch.log_us)

    def _unknown(self, index: int, verdict: Verdict) -> Reject:
        return Reject(
            index,
            "unknown_transaction",
            f"no transaction {verdict.transaction_id} was recorded up to "
            f"{self._wait_us / 1_000_000:g} s after the verdict, or it is a dead letter",
        )


def _over(verdict: Verdict, offset: int) -> VerdictOutcome:
    return VerdictOutcome(
        label_id_of(verdict),
        verdict.transaction_id,
        OVER_QUOTA,
        OVER_QUOTA,
        "its source had given as many verdicts in that hour as count: give it again later",
        offset,
    )


def _refused(verdict: Verdict, reject: Reject, offset: int) -> VerdictOutcome:
    return VerdictOutcome(
        label_id_of(verdict),
        verdict.transaction_id,
        "refused",
        reject.reason,
        reject.detail,
        offset,
    )


def _emit(output: Output, topic: str, records: list[tuple[str, bytes]]) -> None:
    if records:
        keys = [key.encode() for key, _ in records]
        output.emits.append(Emit(topic, keys, [value for _, value in records]))
