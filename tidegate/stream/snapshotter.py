"""Takes snapshots while the stage goes on: a consistent copy at a committed offset, written by
another thread.
"""

from __future__ import annotations

import logging
from concurrent.futures import Executor, Future

from tidegate.stream import input_order as interleaving
from tidegate.stream.partition import Mark, Part
from tidegate.stream.snapshot import Snapshot, Snapshots

_LOG = logging.getLogger(__name__)


class Snapshotter:
    """At most one snapshot under way. A write that fails is logged and tried again when the next is
    due.
    """

    def __init__(
        self, snapshots: Snapshots, stage: str, tag: str, executor: Executor, every: int
    ) -> None:
        self._snapshots, self._stage, self._tag, self._executor, self._every = (
            snapshots,
            stage,
            tag,
            executor,
            every,
        )
        self._running: tuple[Future[None], Part, Mark] | None = None

    def consider(self, part: Part) -> None:
        """Begin one if it is due and none is under way. The part's state must be committed."""
        self.harvest()
        since = part.offset - part.kept[-1].offset if part.kept else part.offset
        noted = (
            len(interleaving.encode(part.pairs)) > interleaving.LONG
            if len(part.pairs) > 100
            else False
        )
        if not self._running and (since >= self._every or noted):
            self._begin(part)

    def finish(self, parts: list[Part]) -> None:
        """Write a last snapshot of each part that has moved since its newest."""
        for part in parts:
            self.harvest(wait=True)
            if not part.kept or part.kept[-1].offset < part.offset:
                self._begin(part)
        self.harvest(wait=True)

    def harvest(self, *, wait: bool = False) -> None:
        """Take note of a write that has ended."""
        if not self._running or not (wait or self._running[0].done()):
            return
        future, part, mark = self._running
        self._running = None
        try:
            future.result()
        except OSError as error:
            _LOG.warning("snapshot of %s/%d at %d failed: %s", *part.source, mark.offset, error)
        else:
            part.saved(mark)

    def _begin(self, part: Part) -> None:
        snapshot = Snapshot(part.offset, part.side, part.state.arrays())
        future = self._executor.submit(
            self._snapshots.save, self._stage, self._tag, part.source.partition, snapshot
        )
        self._running = future, part, Mark(part.offset, part.side)
