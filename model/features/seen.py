"""What a partition has met before: transactions, the frames of each source, labels, verdicts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.features.known_ids import IdMemory
from model.features.newest import LABEL, VERDICT, Newest
from tidegate.profile.spec import Remember
from tidegate.stream.sources import Sources
from tidegate.stream.stage import Arrays

_VERDICTS = 250_000
"""Labels, and transactions with a verdict, that a partition remembers at least."""


class Seen:
    """The memories of one state. `limits` are those of the transactions' ids."""

    def __init__(self, limits: Remember) -> None:
        self.ids = IdMemory(limits)
        self.sources = Sources()
        self.labels = Newest(LABEL, _VERDICTS)
        self.verdicts = Newest(VERDICT, _VERDICTS)

    def begin(self) -> None:
        """What comes from here on can be undone."""
        for memory in (self.ids, self.sources, self.labels, self.verdicts):
            memory.begin()

    def rollback(self) -> None:
        """Everything as it was at `begin`."""
        for memory in (self.ids, self.sources, self.labels, self.verdicts):
            memory.rollback()

    def arrays(self) -> Arrays:
        """All that they hold, in an order that does not depend on batches."""
        labels, verdicts = self.labels.entries(), self.verdicts.entries()
        return {f"ids_{name}": array for name, array in self.ids.arrays().items()} | {
            "sources": self.sources.array(),
            "labels": labels[0],
            "labels_before": labels[1],
            "verdicts": verdicts[0],
            "verdicts_before": verdicts[1],
        }

    def load(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `arrays` gave."""
        self.ids.load({name[4:]: arrays[name] for name in arrays if name.startswith("ids_")})
        self.sources.load(np.array(arrays["sources"], np.int64))
        for memory, name in ((self.labels, "labels"), (self.verdicts, "verdicts")):
            newest, before = (np.array(arrays[name + end], np.int64) for end in ("", "_before"))
            memory.load(newest, before)
