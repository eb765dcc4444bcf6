"""A lock between processes of one machine that ends with its process, however that ends."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO


class FileLock:
    """An exclusive flock(2) on a file beside the database."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle: IO[bytes] | None = None

    def acquire(self, *, wait: bool) -> bool:
        """Take the lock; False when another holds it and `wait` is False."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle = self._file.open("ab")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            handle.close()
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Give it back; harmless when it is not held."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def beside(database: Path, purpose: str) -> FileLock:
    """The lock for one purpose on an SQLite file."""
    return FileLock(database.with_name(f"{database.name}.{purpose}.lock"))
