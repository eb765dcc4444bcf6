"""The label stage: a verdict, joined with its row, becomes a label that needs no look-up.

A label's id is the verdict's `label_id`, or else follows from transaction, verdict and source: the
same source saying the same again is one label. A verdict that corrects an earlier one is a label of
its own, learnt as a new observation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tidegate.broker.records import Batch, Headers
from tidegate.messages.documents import Label, Verdict, decode_verdict, encode
from tidegate.pipeline import FEEDBACK, LABELS
from tidegate.profile import Profile
from tidegate.stream.stage import Emit, NoState, Output, Reject, StatelessStage
from tidegate.words import plain

if TYPE_CHECKING:
    from db.decode import ScoredRow

    Lookup = Callable[[list[str]], Mapping[str, ScoredRow]]

FIRST_SEEN = "tidegate-first-seen"
"""Header of a verdict that waits for its row: when the stage first saw it, in ms since 1970."""
_PAUSE_S = 0.25


class _Waiting(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Headers


class LabelStage(StatelessStage):
    """Looks up each batch's rows at once.

    Verdicts without a row go round until they are `wait_s` old.
    """

    name = "label"
    input = FEEDBACK

    def __init__(self, profile: Profile, lookup: Lookup, wait_s: float = 30.0) -> None:
        self._profile, self._lookup, self._wait_ms = profile, lookup, wait_s * 1000

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
        rows = self._lookup(ids) if ids else {}
        labels: list[Label] = []
        waiting: list[_Waiting] = []
        for index, verdict in verdicts.items():
            row = rows.get(verdict.transaction_id)
            if row is None:
                self._wait(batch, index, verdict, waiting, output)
            elif row.profile != self._profile.hash.decode():
                output.rejects.append(self._of_another_profile(index, row))
            else:
                labels.append(_label(verdict, row, batch.timestamps[index]))
        _emit(output, labels, waiting)
        return output

    def _of_another_profile(self, index: int, row: ScoredRow) -> Reject:
        return Reject(
            index,
            "other_profile",
            f"transaction {row.transaction_id} was processed "
            f"by profile {row.profile}, this is {self._profile.hash.decode()}",
        )

    def _wait(
        self, batch: Batch, index: int, verdict: Verdict, waiting: list[_Waiting], output: Output
    ) -> None:
        """Let a verdict without a row go round once more, or reject it when it is too old."""
        now_ms = batch.received_us // 1000
        headers = [*(batch.headers[index] or [])]
        first = next((_number(value) for name, value in headers if name == FIRST_SEEN), None)
        if first is None:
            first = now_ms
            headers = [pair for pair in headers if pair[0] != FIRST_SEEN] + [
                (FIRST_SEEN, str(now_ms).encode())
            ]
        if now_ms - first > self._wait_ms:
            output.rejects.append(
                Reject(
                    index,
                    "unknown_transaction",
                    f"no row for transaction {verdict.transaction_id} "
                    f"within {self._wait_ms / 1000:g} s",
                )
            )
        else:
            waiting.append(_Waiting(batch.keys[index], batch.values[index], headers))


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


def _number(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) < 16 else None


def _emit(output: Output, labels: list[Label], waiting: list[_Waiting]) -> None:
    if labels:
        output.emits.append(
            Emit(
                LABELS,
                [label.transaction_id.encode() for label in labels],
                [encode(label) for label in labels],
            )
        )
    if waiting:
        keys, values, headers = zip(*waiting, strict=True)
        output.emits.append(Emit(FEEDBACK, list(keys), list(values), list(headers)))
        output.pause = _PAUSE_S
