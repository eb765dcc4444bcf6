"""Snapshots in memory that can be damaged, and whose calls a test can crash in."""

from __future__ import annotations

import uuid

from fsspec.implementations.memory import MemoryFileSystem

from tidegate.broker.memory.broker import MemoryBroker
from tidegate.stream.snapshot import DamagedSnapshotError, Snapshot, Snapshots


def new_folder() -> str:
    """The URL of an empty folder in memory; the folders of runs before it are gone.

    To look for one file there takes as long as there are files.
    """
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    return f"memory://{uuid.uuid4().hex}"


class HookedSnapshots(Snapshots):
    """Snapshots whose calls count as I/O calls of the broker's hook; the newer of two can be
    damaged.
    """

    def __init__(self, url: str, broker: MemoryBroker, *, damaged: bool) -> None:
        super().__init__(url)
        self._broker, self._damaged = broker, damaged

    def save(self, stage: str, tag: str, partition: int, snapshot: Snapshot) -> None:
        with self._broker.call("save"):
            super().save(stage, tag, partition, snapshot)

    def load(self, stage: str, tag: str, partition: int, offset: int) -> Snapshot:
        with self._broker.call("load"):
            if (
                self._damaged
                and self.offsets(stage, tag, partition)[1:]
                and not self._aside(stage, tag, partition)
            ):
                raise DamagedSnapshotError("as the case wants it")
            return super().load(stage, tag, partition, offset)

    def _aside(self, stage: str, tag: str, partition: int) -> bool:
        return bool(self._files.glob(f"{self._folder(stage, tag, partition)}/*.damaged"))
