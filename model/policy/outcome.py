"""What a policy makes of transactions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.messages.rule_hits import BITS, SUPPRESSED

Codes = NDArray[np.uint8]


class Outcome(NamedTuple):
    """What a policy makes of n transactions.

    `decision` and what the rules alone say, `forced`, u1[n] (with 0 for nothing); `bits` u1[n, 16]
    as in `tidegate.messages.rule_hits`; `hit` the indices of those that a rule or list hit.
    """

    decision: Codes
    forced: Codes
    bits: Codes
    hit: NDArray[np.intp]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """All bits bool[128, n]."""
        return np.unpackbits(self.bits, axis=1, bitorder="little").T.astype(np.bool_)

    @property
    def suppressed(self) -> NDArray[np.bool_]:
        """Of which n no alert goes out."""
        return self.bits[:, SUPPRESSED // 8] & (1 << SUPPRESSED % 8) > 0

    def packed(self) -> NDArray[Any]:
        """The hits V16[n], as rows keep them."""
        return self.bits.view("V16").ravel()


def packed_bits(bits: Iterable[int]) -> Codes:
    """These bits u1[16]."""
    packed = np.zeros(BITS, np.uint8)
    packed[list(bits)] = 1
    return np.packbits(packed, bitorder="little")
