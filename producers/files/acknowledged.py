"""The journal of `send`: which rows one Kafka has acknowledged, whatever file they stood in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b, sha256
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np
from numpy.typing import NDArray

from db.lock import FileLock
from tidegate.errors import TidegateError

Hashes = NDArray[np.uint64]

SEGMENT = 1 << 22
"""Rows in a sorted file of the journal: 32 MB."""
MOST_SEGMENTS = 24
"""So many are kept: 100 million rows, 800 MB. What is older is forgotten, and is sent again."""

_FILES = 1000


def hashes_of(lines: Sequence[bytes]) -> Hashes:
    """u8[n] of rows as they are posted, ids included.

    Among 24 million rows one is taken for another with a probability of 1 in 60,000.
    """
    digests = [blake2b(line, digest_size=8).digest() for line in lines]
    return np.frombuffer(b"".join(digests), np.uint64)


class Acknowledged:
    """Hashes of acknowledged rows, 8 bytes each, in files of a folder.

    `log` names the Kafka that acknowledged them: another one, or the same address with its data
    deleted, has acknowledged nothing yet. What is added stands in a file at once; a crash may cut
    it short, and then its last rows are sent again, which their ids make safe. A full file is
    sorted and from then on mapped, not read. Several processes may add to one journal, and each
    knows what had been added before it opened it.
    """

    def __init__(self, folder: Path, log: str) -> None:
        self.folder = folder / f"log-{sha256(log.encode()).hexdigest()[:16]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self.folder / "newest"
        self._file = self._path.open("ab")
        with self._alone():
            self._sorted = [np.memmap(path, np.uint64, "r") for path in self._full()]
            self._mend()
            self._before: Hashes = np.sort(np.fromfile(self._path, np.uint64))

    def _full(self) -> list[Path]:
        return sorted(self.folder.glob("*.sorted"))

    def known(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Which of these had been acknowledged before this journal was opened: b[n]."""
        found = _among(hashes, self._before)
        for segment in self._sorted:
            found |= _among(hashes, segment)
        return found

    def add(self, hashes: Hashes) -> None:
        """Note that these were acknowledged."""
        with self._alone():
            self._mend()
            self._file.write(hashes.tobytes())
            self._file.flush()
            if self._path.stat().st_size >= 8 * SEGMENT:
                self._seal()

    def _mend(self) -> None:
        """Cut off the half of a hash that a crash may have left."""
        self._file.truncate(self._path.stat().st_size // 8 * 8)

    def _seal(self) -> None:
        """Sort the newest file, and begin another."""
        full = self._full()
        number = int(full[-1].stem) + 1 if full else 0
        draft = self.folder / "draft"
        np.sort(np.fromfile(self._path, np.uint64)).tofile(draft)
        draft.replace(self.folder / f"{number:08}.sorted")
        self._file.truncate(0)
        for path in self._full()[:-MOST_SEGMENTS]:
            path.unlink()

    def rows_of(self, digest: str) -> int:
        """How many rows of the file with this content have been acknowledged."""
        return self._files().get(digest, 0)

    def note(self, digest: str, rows: int) -> None:
        """Note how many rows of a file have been acknowledged."""
        with self._alone():
            files = self._files()
            files.pop(digest, None)
            kept = list(files.items())[-_FILES:]
            draft = self.folder / "files.part"
            draft.write_bytes(msgspec.json.encode({**dict(kept), digest: rows}))
            draft.replace(self.folder / "files.json")

    @contextmanager
    def only_sender(self, digest: str, name: str) -> Iterator[None]:
        """While a file is sent. Raises TidegateError where another process sends the same one."""
        path = self.folder / f"{digest[:16]}.sending"
        lock = FileLock(path)
        if not lock.acquire(wait=False):
            raise TidegateError(
                f"{name} is being sent to the same Kafka by another process: nothing was sent. "
                "When that has ended, the same command sends what is left"
            )
        try:
            yield
        finally:
            path.unlink()
            lock.release()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process writes here."""
        lock = FileLock(self.folder / "lock")
        lock.acquire(wait=True)
        try:
            yield
        finally:
            lock.release()

    def _files(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(
                (self.folder / "files.json").read_bytes(), type=dict[str, int]
            )
        except FileNotFoundError:
            return {}

    def __enter__(self) -> Acknowledged:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _among(hashes: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Which of the hashes stand in a sorted array."""
    if not len(known):
        return np.zeros(len(hashes), bool)
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return np.asarray(known[places] == hashes)
