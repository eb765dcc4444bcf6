"""The label stage: a verdict, joined with its row, becomes a label that needs no look-up.

A label's id is the verdict's `label_id`, or else follows from transaction, verdict and source: the
same source saying the same again is one label. A verdict that corrects an earlier one is a label of
its own, learnt as a new observation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from tidegate.broker.records import Batch
from tidegate.messages.documents import Label, Verdict, decode_verdict, encode
from tidegate.pipeline import FEEDBACK, LABELS
from tidegate.profile import Profile
from tidegate.stream.dead_letters import recorded_ms
from tidegate.stream.stage import Emit, NoState, Output, Reject, StatelessStage
from tidegate.words import plain

if TYPE_CHECKING:
    from db.decode import ScoredRow

    Lookup = Callable[[list[str]], Mapping[str, ScoredRow]]

Drained = Callable[[int], bool]
"""Whether all transactions that were recorded by this time (us) are rows or dead letters."""
_AHEAD_MS = 300_000
"""How far ahead of this clock a record's time may lie; one beyond that does not wait."""


class LabelStage(StatelessStage):
    """Looks up each batch's rows at once.

    A verdict without a row waits until it is `wait_s` old, and longer while transactions that were
    recorded by then are still under way, as `drained` says.
    """

    name = "label"
    input = FEEDBACK

    def __init__(
        self,
        profile: Profile,
        lookup: Lookup,
        wait_s: float = 30.0,
        drained: Drained = lambda _time_us: True,
    ) -> None:
        self._profile, self._lookup, self._drained = profile, lookup, drained
        self._wait_ms = int(wait_s * 1000)

    def process(self, _state: NoState, batch: Batch) -> Output:
        """Labels for verdicts whose rows are there; the look-up may raise Retry."""
        verdicts: dict[int, Verdict] = {}
        output = Output()
        for index, value in enumerate(batch.values):
            verdict = read_verdict(value, index)
            if isinstance(verdict, Reject):
                output.rejects.append(verdict)
            else:
                verdicts[index] = verdict
        ids = sorted({verdict.transaction_id for verdict in verdicts.values()})
        late = {index for index in verdicts if self._is_late(batch, index)}
        rows = self._lookup(ids) if ids else {}  # what is late has had its last chance by now
        labels: list[Label] = []
        for index, verdict in verdicts.items():
            row = rows.get(verdict.transaction_id)
            if row is None and index in late:
                output.rejects.append(self._unknown(index, verdict))
            elif row is None:
                output.waits.append(index)
            elif row.profile != self._profile.hash.decode():
                output.rejects.append(self._of_another_profile(index, row))
            else:
                labels.append(
                    _label(verdict, row, recorded_ms(batch.headers[index], batch.timestamps[index]))
                )
        _emit(output, labels)
        return output

    def _of_another_profile(self, index: int, row: ScoredRow) -> Reject:
        return Reject(
            index,
            "other_profile",
            f"transaction {row.transaction_id} was processed "
            f"by profile {row.profile}, this is {self._profile.hash.decode()}",
        )

    def _is_late(self, batch: Batch, index: int) -> bool:
        """Whether the row of this verdict, if it is not there, is not to come any more."""
        recorded_ms, now_ms = batch.timestamps[index], batch.received_us // 1000
        if recorded_ms > now_ms + _AHEAD_MS:
            return True
        until_ms = recorded_ms + self._wait_ms
        return now_ms > until_ms and self._drained(until_ms * 1000)

    def _unknown(self, index: int, verdict: Verdict) -> Reject:
        return Reject(
            index,
            "unknown_transaction",
            f"no transaction {verdict.transaction_id} was recorded up to "
            f"{self._wait_ms / 1000:g} s after the verdict, or it is a dead letter",
        )


def _label(verdict: Verdict, row: ScoredRow, recorded_ms: int) -> Label:
    return Label(
        label_id=verdict.label_id or _label_id(verdict),
        fraud=verdict.verdict == "fraud",
        source=verdict.source,
        given_us=verdict.given_us or recorded_ms * 1000,
        **row._asdict(),
    )


def read_verdict(value: bytes | None, index: int) -> Verdict | Reject:
    """The verdict in a record, or why there is none."""
    if not value:
        return Reject(index, "empty", "the message is empty")
    try:
        verdict = decode_verdict(value)
    except msgspec.ValidationError as error:
        return Reject(index, "wrong_type", plain(str(error)))
    except UnicodeDecodeError as error:
        return Reject(index, "invalid_utf8", str(error))
    except (msgspec.DecodeError, RecursionError) as error:
        return Reject(index, "invalid_json", str(error))
    if not verdict.transaction_id:
        return Reject(index, "missing_field", "transaction_id is empty")
    return verdict


def _label_id(verdict: Verdict) -> str:
    text = encode([verdict.transaction_id, verdict.verdict, verdict.source])
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def _emit(output: Output, labels: list[Label]) -> None:
    if labels:
        output.emits.append(
            Emit(
                LABELS,
                [label.transaction_id.encode() for label in labels],
                [encode(label) for label in labels],
            )
        )
