"""What the profile's decoder takes of a file's rows, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.features.columns import inputs_of
from model.features.intake import UNFIT, decode_all
from model.files.refusals import described
from model.files.rows import Refusal, Rows
from tidegate.clock import now_us
from tidegate.errors import Rejected
from tidegate.profile import Profile

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sifted:
    """Rows as the profile's decoder sees them: the places `at` i8[n] of those that the API takes,
    their `times` i8[n] us, and the others.
    """

    at: NDArray[np.intp]
    times: Ints
    refused: list[Refusal]


def sift(profile: Profile, rows: Rows) -> Sifted:
    """What the API will take of these rows, and why not the others."""
    received = now_us()
    times = None if rows.refused else _times_at_once(profile, rows.lines, received)
    if times is not None:
        return Sifted(np.arange(len(times)), times, [])
    return _one_by_one(profile, rows, received)


def _times_at_once(profile: Profile, lines: Sequence[bytes], received_us: int) -> Ints | None:
    """The times i8[n] us of lines that are all good; None where one is bad."""
    try:
        txs = decode_all(profile, lines)
        received = np.full(len(txs), received_us, np.int64)
        return inputs_of(profile, txs, received, only=())[0]
    except UNFIT:
        return None


def _one_by_one(profile: Profile, rows: Rows, received_us: int) -> Sifted:
    refused = {refusal.number: refusal for refusal in rows.refused}
    at: list[int] = []
    times: list[int] = []
    for place, (number, line) in enumerate(zip(rows.numbers.tolist(), rows.lines, strict=True)):
        if number in refused:
            continue
        try:
            times.append(profile.event_us(profile.decode(line, received_us), received_us))
            at.append(place)
        except Rejected as error:
            refused[number] = described(profile, number, line, error, received_us)
    return Sifted(
        np.array(at, np.intp),
        np.array(times, np.int64),
        sorted(refused.values(), key=lambda one: one.number),
    )
