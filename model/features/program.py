"""A compiled plan as the compiled loops read it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.profile.spec import DAY

KEY, NEWEST, TOUCHED, FLOOR, GENERATION = range(5)
"""Words of a row before the windows: key, newest event time, ingest time when last touched, the
floor (`LATE_US` before the newest event), and the generation of keys that saw it last."""
HEAD = 5
LATE_US = 30 * DAY
"""How late behind its entity's newest event an event may come and see all of its windows."""


class Program(NamedTuple):
    """What the compiled loops read of a plan.

    `code` i8[n, 8] and `consts` f8[n, 2] are the instructions. `verdicts` i8[m, 3] is where matured
    verdicts go: base, slots and pane (us) of each window over verdicts; base, entries and 0 of each
    memory of them. `sections` i8[k, 5] are the parts of a row as `model.features.packing` reads
    them. `horizon_us` is how long a row may be idle before it is as good as new, by its own event
    times and by ingest time; `registers` how many there are.
    """

    code: NDArray[np.int64]
    consts: NDArray[np.float64]
    verdicts: NDArray[np.int64]
    sections: NDArray[np.int64]
    horizon_us: int
    registers: int
