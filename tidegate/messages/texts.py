"""A column of byte strings, as a list or as one buffer, whichever is at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Texts(Sequence[bytes]):
    """n byte strings. Each form is made of the other when it is first asked for, and kept."""

    __slots__ = ("_buffer", "_list", "lengths")

    def __init__(
        self, lengths: NDArray[np.int64], texts: list[bytes] | None, buffer: bytes | None
    ) -> None:
        self.lengths, self._list, self._buffer = lengths, texts, buffer

    @staticmethod
    def of(texts: list[bytes]) -> Texts:
        """From a list."""
        return Texts(np.fromiter(map(len, texts), np.int64, len(texts)), texts, None)

    @staticmethod
    def cut(buffer: bytes, lengths: NDArray[np.int64]) -> Texts:
        """From one buffer and the length of each, i8[n]."""
        return Texts(lengths, None, buffer)

    @staticmethod
    def joined(columns: Sequence[Texts]) -> Texts:
        """Several columns as one."""
        lengths = np.concatenate([column.lengths for column in columns])
        return Texts(lengths, None, b"".join([column.buffer for column in columns]))

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.texts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        return self.texts[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.texts == list(other)

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    @property
    def buffer(self) -> bytes:
        """All of them, one behind the other."""
        if self._buffer is None:
            self._buffer = b"".join(self._list or ())
        return self._buffer

    @property
    def texts(self) -> list[bytes]:
        """Each as an object."""
        if self._list is None:
            buffer, ends = self.buffer, np.cumsum(self.lengths).tolist()
            if not buffer:
                self._list = [b""] * len(self.lengths)
            else:
                starts = [0, *ends[:-1]]
                self._list = [buffer[start:end] for start, end in zip(starts, ends, strict=True)]
        return self._list

    def slice(self, start: int, stop: int) -> Texts:
        """Those from `start` to `stop`, by index."""
        lengths = self.lengths[start:stop]
        if self._list is not None:
            return Texts(lengths, self._list[start:stop], None)
        first = int(self.lengths[:start].sum())
        return Texts(lengths, None, self.buffer[first : first + int(lengths.sum())])

    def take(self, indices: NDArray[np.intp]) -> Texts:
        """Those at these indices, in their order."""
        if not self._list and not self.buffer:
            return Texts(self.lengths[indices], None, b"")
        texts = self.texts
        return Texts(self.lengths[indices], [texts[i] for i in indices.tolist()], None)
