"""The journal of `send`: which rows one Kafka has acknowledged, whatever file they stood in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.hashing import join
from model.sip import NO_SECRET, sip128

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
    return sip128(*join(lines), NO_SECRET)[:, 0]


class Acknowledged:
    """Hashes of acknowledged rows, 8 bytes each, in files of a folder.

    `log` names the Kafka that acknowledged them: another one, or the same address with its data
    deleted, has acknowledged nothing yet. What is added stands in a file at once; a crash may cut
    it short, and then its last rows are sent again, which their ids make safe. A full file is
    sorted and from then on mapped, not read.
    """

    def __init__(self, folder: Path, log: str) -> None:
        self.folder = folder / f"log-{hashlib.sha256(log.encode()).hexdigest()[:16]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sorted = [np.memmap(path, np.uint64, "r") for path in self._full()]
        self._path = self.folder / "newest"
        self._file = self._path.open("ab")
        newest = self._path.read_bytes()
        whole = len(newest) // 8 * 8
        self._file.truncate(whole)
        self._before: Hashes = np.sort(np.frombuffer(newest[:whole], np.uint64))
        self._count = len(self._before)

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
        self._file.write(hashes.tobytes())
        self._file.flush()
        self._count += len(hashes)
        if self._count >= SEGMENT:
            self._seal()

    def _seal(self) -> None:
        """Sort the newest file, and begin another."""
        full = self._full()
        number = int(full[-1].stem) + 1 if full else 0
        draft = self.folder / "draft"
        np.sort(np.fromfile(self._path, np.uint64)).tofile(draft)
        draft.replace(self.folder / f"{number:08}.sorted")
        self._file.truncate(0)
        self._count = 0
        for path in self._full()[:-MOST_SEGMENTS]:
            path.unlink()

    def rows_of(self, digest: str) -> int:
        """How many rows of the file with this content have been acknowledged."""
        return self._files().get(digest, 0)

    def note(self, digest: str, rows: int) -> None:
        """Note how many rows of a file have been acknowledged."""
        files = self._files()
        files.pop(digest, None)
        kept = list(files.items())[-_FILES:]
        draft = self.folder / "files.part"
        draft.write_bytes(msgspec.json.encode({**dict(kept), digest: rows}))
        draft.replace(self.folder / "files.json")

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
