"""Snapshots: a partition's state at an offset of its log, as a file without any code.

A file is the magic, the SHA-256 of all that follows it, the header's length (u32), a header of JSON
(`offset`, `side`, `after`, and name, dtype, shape and place of each array), and the arrays' bytes,
each at a multiple of 64. It is whole, or what has changed `after` the offset of another one: then
that one has to be read before it.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast

import fsspec
import msgspec
import numpy as np
from fsspec.implementations.local import LocalFileSystem
from numpy.lib import format as npy

from tidegate.stream.snapshot_names import Found, chain_of, found_in, name_of, reaches_whole
from tidegate.stream.stage import Arrays

_LOG = logging.getLogger(__name__)
_MAGIC = b"TGSNAP1\n"
_START = len(_MAGIC) + 32 + 4
_ALIGN = 64
KEEP = 2
_KEEP_TAGS = timedelta(days=7)
"""How long snapshots of an earlier profile are kept, for whoever goes back to it."""


class DamagedSnapshotError(Exception):
    """The file is not what was written."""


class Snapshot(NamedTuple):
    """A state after all input before `offset` and all side records before `side`.

    Or, not None, what has changed in it since that `after` an offset.
    """

    offset: int
    side: int
    arrays: Arrays
    after: int | None = None


class Snapshots:
    """Snapshots under an fsspec URL that replicas may share.

    Each is a file URL/stage/tag/partition/offset.snap, or offset-after.snap. A tag is a version of
    the state. The newest two that share no file are kept, and with a `spacing` (offsets) older
    ones, as `thinned` says; and with each all that it comes after.
    """

    def __init__(self, url: str, spacing: int = 0) -> None:
        self._files, self._root = fsspec.core.url_to_fs(url)
        self._spacing = spacing
        self._pruned = set[tuple[str, str]]()

    def save(self, stage: str, tag: str, partition: int, snapshot: Snapshot) -> None:
        """Write one and remove those that are not kept.

        Raises OSError, also where what it comes after is gone; a file is there in whole or not at
        all, also after a loss of power. With a process's first one, snapshots of tags that nobody
        has used for a week are removed.
        """
        folder = self._folder(stage, tag, partition)
        self._files.makedirs(folder, exist_ok=True)
        if snapshot.after is not None:
            chain_of(self._found(folder), snapshot.after)
        name = f"{folder}/{name_of(snapshot.offset, snapshot.after)}"
        with self._files.open(name + ".part", "wb") as file:
            for piece in encode(snapshot):
                file.write(piece)
            if self._local:
                file.flush()
                os.fsync(file.fileno())
        self._files.mv(name + ".part", name)
        if self._local:
            _sync_folder(folder)
        self._remove_others(folder, snapshot)
        self._thin(folder)
        if (stage, tag) not in self._pruned:
            self._pruned.add((stage, tag))
            self._prune(stage, tag)

    def _remove_others(self, folder: str, saved: Snapshot) -> None:
        """Those of its offset that come after another one: that may have been set aside."""
        for name in self._names(folder):
            if saved.offset in found_in([name]) and name != name_of(saved.offset, saved.after):
                self._files.rm(f"{folder}/{name}")

    def _thin(self, folder: str) -> None:
        """Of the ends of chains that begin with one whole snapshot, only the newest counts: one
        that was replaced here may have written a last one beside those of its successor.
        """
        found, kept = self._found(folder), set[int]()
        ends = found.keys() - set(found.values())
        newest: dict[int, int] = {}
        for offset in self._whole_chains(folder):
            if offset in ends:
                newest.setdefault(chain_of(found, offset)[-1], offset)
        for offset in thinned(sorted(newest.values(), reverse=True), self._spacing):
            kept.update(chain_of(found, offset))
        names = {name_of(offset, found[offset]) for offset in kept}
        for old in self._names(folder):
            if found_in([old]) and old not in names:
                self._files.rm(f"{folder}/{old}")

    @property
    def _local(self) -> bool:
        return isinstance(self._files, LocalFileSystem)

    def _prune(self, stage: str, tag: str) -> None:
        """Remove other tags whose newest snapshot is old; another process may do so as well."""
        for folder in self._files.ls(f"{self._root}/{stage}", detail=False):
            if str(folder).rstrip("/").rpartition("/")[2] == tag:
                continue
            try:
                if self._unused(folder):
                    self._files.rm(folder, recursive=True)
                    _LOG.info("removed old snapshots %s", folder)
            except (OSError, NotImplementedError) as error:
                _LOG.warning("old snapshots %s are not removed: %s", folder, error)

    def _unused(self, folder: str) -> bool:
        files = [path for path in self._files.find(folder) if path.endswith(".snap")]
        newest = max((self._files.modified(path) for path in files), default=None)
        return newest is not None and newest < datetime.now(UTC) - _KEEP_TAGS

    def offsets(self, stage: str, tag: str, partition: int) -> list[int]:
        """The offsets of the snapshots there are with all that they come after, newest first."""
        return self._whole_chains(self._folder(stage, tag, partition))

    def chain(self, stage: str, tag: str, partition: int, offset: int) -> list[int]:
        """The offsets of the snapshots to read for one: a whole one, and those that come after it.

        Raises FileNotFoundError if one of them is not there.
        """
        return chain_of(self._found(self._folder(stage, tag, partition)), offset)[::-1]

    def load(self, stage: str, tag: str, partition: int, offset: int) -> Snapshot:
        """Read the file of one; its arrays are writable views of one buffer.

        A local file is mapped, so that its bytes are not in memory twice while a state takes them
        over. Raises OSError, DamagedSnapshotError.
        """
        name = self._file(stage, tag, partition, offset)
        size = self._files.size(name)
        with self._files.open(name, "rb") as file:
            if self._local and size:
                return decode(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY))
            buffer = bytearray(size)
            _fill(file, buffer)
        return decode(buffer)

    def set_aside(self, stage: str, tag: str, partition: int, offset: int) -> None:
        """Rename a damaged one, so that it counts no more but can be looked at."""
        name = self._file(stage, tag, partition, offset)
        self._files.mv(name, name + ".damaged")

    def _file(self, stage: str, tag: str, partition: int, offset: int) -> str:
        folder = self._folder(stage, tag, partition)
        return f"{folder}/{name_of(offset, self._found(folder).get(offset))}"

    def _folder(self, stage: str, tag: str, partition: int) -> str:
        return f"{self._root}/{stage}/{tag}/{partition}"

    def _whole_chains(self, folder: str) -> list[int]:
        """The offsets that can be read, newest first."""
        found = self._found(folder)
        return sorted((offset for offset in found if reaches_whole(found, offset)), reverse=True)

    def _found(self, folder: str) -> Found:
        """The snapshots by their offsets, and what each comes after; a whole one goes first."""
        return found_in(self._names(folder))

    def _names(self, folder: str) -> list[str]:
        self._files.invalidate_cache()
        if not self._files.exists(folder):
            return []
        return [str(path).rpartition("/")[2] for path in self._files.ls(folder, detail=False)]


def thinned(offsets: list[int], spacing: int) -> set[int]:
    """Which of these offsets, newest first, to keep: the newest two, and if `spacing` is not 0 one
    in each stretch of `spacing` offsets, of twice that from 8 stretches back on, and so on.

    So a hundredfold of offsets takes some 30 snapshots more, and the way from any offset back to
    one is at most half of its age, or two stretches.
    """
    kept = set(offsets[:KEEP])
    stretches: dict[tuple[int, int], int] = {}
    for offset in offsets if spacing else ():
        width = spacing << max(0, ((offsets[0] - offset) // (4 * spacing)).bit_length() - 1)
        stretches[width, offset // width] = offset
    return kept.union(stretches.values())


def _sync_folder(folder: str) -> None:
    """Make a rename in it durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def encode(snapshot: Snapshot) -> Iterator[bytes | memoryview]:
    """The file's content in pieces; arrays are not copied if they are contiguous.

    Raises TypeError for objects.
    """
    entries: list[dict[str, Any]] = []
    bodies: list[bytes | memoryview] = []
    place = 0
    for name, array in snapshot.arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"array {name!r} holds objects")
        body = np.ascontiguousarray(array)
        entries.append(
            {
                "name": name,
                "dtype": npy.dtype_to_descr(array.dtype),
                "shape": array.shape,
                "at": place,
            }
        )
        bodies += [_bytes_of(body), bytes(-body.nbytes % _ALIGN)]
        place += body.nbytes + -body.nbytes % _ALIGN
    described: dict[str, Any] = {"offset": snapshot.offset, "side": snapshot.side}
    if snapshot.after is not None:
        described["after"] = snapshot.after
    header = msgspec.json.encode(described | {"arrays": entries})
    header += b" " * (-(_START + len(header)) % _ALIGN)
    pieces: list[bytes | memoryview] = [len(header).to_bytes(4, "little"), header, *bodies]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    yield _MAGIC + digest.digest()
    yield from pieces


def decode(buffer: bytearray | mmap.mmap) -> Snapshot:
    """The reverse of `encode`. Raises DamagedSnapshotError."""
    view = memoryview(buffer)
    if len(view) < _START or view[: len(_MAGIC)] != _MAGIC:
        raise DamagedSnapshotError("not a snapshot, or cut short")
    if hashlib.sha256(view[_START - 4 :]).digest() != view[len(_MAGIC) : _START - 4]:
        raise DamagedSnapshotError("its SHA-256 does not fit its content")
    end = _START + int.from_bytes(view[_START - 4 : _START], "little")
    header = msgspec.json.decode(view[_START:end])
    arrays = {}
    for entry in header["arrays"]:
        dtype, shape = npy.descr_to_dtype(_tuples(entry["dtype"])), tuple(entry["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        arrays[entry["name"]] = np.frombuffer(buffer, dtype, count, end + entry["at"]).reshape(
            shape
        )
    return Snapshot(header["offset"], header["side"], arrays, header.get("after"))


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")


def _tuples(descr: Any) -> Any:  # noqa: ANN401 - numpy's own description of a dtype
    """JSON knows no tuples; numpy's descriptions of records need them."""
    if isinstance(descr, str):
        return descr
    return [_field(cast("list[Any]", field)) for field in descr]


def _field(field: list[Any]) -> tuple[Any, ...]:
    """One field as numpy has it: its name, its type, and its shape if it is an array."""
    name, dtype, *shape = field
    return name, _tuples(dtype), *map(tuple, shape)


def _fill(file: Any, buffer: bytearray) -> None:  # noqa: ANN401 - fsspec's files have no common type
    view = memoryview(buffer)
    done = 0
    while done < len(buffer):
        count = file.readinto(view[done:])
        if not count:
            raise DamagedSnapshotError("cut short while it was read")
        done += count
