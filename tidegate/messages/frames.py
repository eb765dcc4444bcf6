"""Frames: how a transaction travels between the steps.

A frame is a fixed row (a numpy record, little-endian, packed) and a tail of four variable parts -
id, account, payload, reasons. A batch of frames is decoded by one `np.frombuffer`, so no Python
loop touches a feature.

One frame on `transactions.features`: transaction t-1 of account u7, in a profile of one keyed step,
two hashed fields and three values, posted as {"id":"t-1","user_id":"u7","amount":12.5}.

    byte  field         bytes                            means
       0  magic         54 47 46 31                      "TGF1", features; "TGS2" once it is scored
       4  profile       33 66 61 39 63 30 64 65          the profile's hash, "3fa9c0de"
      12  id_len        03 00                            the tail begins with 3 bytes of id,
      14  account_len   02 00                            then 2 bytes of account,
      16  payload_len   29 00 00 00                      then 41 bytes of JSON,
      20  reasons_len   00 00 00 00                      and no reasons: nothing is scored yet
      24  body_hash     16 bytes                         tells a duplicate from a conflict
      40  event_us      00 20 21 10 d7 0d 06 00          2024-01-01T00:00:00Z
      48  ingest_us     40 62 30 10 d7 0d 06 00          a second later
      56  amount_minor  e2 04 00 00 00 00 00 00          1,250 cents
      64  steps[0]      02 00 00 00                      read on partition 2,
                        29 00 00 00 00 00 00 00          at offset 41,
                        2 words                          after labels up to an offset, when
      92  keys          2 words                          hashes of user_id and merchant
     108  values        00 00 00 00 00 00 29 40          12.5, the amount,
                        2 words                          and two windows
     132  tail          t-1u7{"id":"t-1","user_id":...   ends at byte 132 + 3 + 2 + 41 = 178

The score step puts its fields between values and tail, and its reasons at the end of the tail. The
payload of an erasable profile is encrypted (`tidegate.messages.ciphertext`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import Rejected, Stop

MAGIC = 0x3146_4754  # "TGF1"
SCORED_MAGIC = 0x3253_4754
"""Scored frames: "TGS2". Those of the first version began as the others do, and had no place for a
shadow's score.
"""
_MARKS = tuple(magic.to_bytes(4, "little") for magic in (MAGIC, SCORED_MAGIC))
"""How a frame begins."""
NONE = -1
"""The offset, partition or time of something that has not happened."""
DECISIONS = ("approve", "review", "block")
Decision = Literal["approve", "review", "block"]
STEP = np.dtype([("partition", "<i4"), ("offset", "<i8"), ("labels", "<i8"), ("time_us", "<i8")])
"""What each keyed step leaves in a frame: its input's partition and offset, the next labels offset,
the time in us.
"""
HEAD: list[Any] = [
    ("magic", "<u4"),
    ("profile", "S8"),
    ("id_len", "<u2"),
    ("account_len", "<u2"),
    ("payload_len", "<u4"),
    ("reasons_len", "<u4"),
    ("body_hash", "V16"),
    ("event_us", "<i8"),
    ("ingest_us", "<i8"),
    ("amount_minor", "<i8"),
]
"""The fields that the rows of all profiles begin with."""
_LENGTH_NAMES = ("id_len", "account_len", "payload_len", "reasons_len")
LENGTHS = np.dtype([("prefix", "V12"), *HEAD[2:6]])
"""How a frame of any profile begins: up to the lengths of its tail."""


@dataclass(slots=True)
class Frames:
    """A batch of decoded frames, by column.

    `rows` are n records of the layout's dtype, a writable copy.
    """

    rows: NDArray[Any]
    ids: list[bytes]
    accounts: list[bytes]
    payloads: list[bytes]
    reasons: list[bytes]

    def take(self, index: NDArray[np.intp]) -> Frames:
        """The frames at `index`, in that order."""
        chosen = index.tolist()
        return Frames(
            self.rows[index],
            [self.ids[i] for i in chosen],
            [self.accounts[i] for i in chosen],
            [self.payloads[i] for i in chosen],
            [self.reasons[i] for i in chosen],
        )


def _row_bytes(rows: NDArray[Any]) -> list[bytes]:
    """Each row's bytes."""
    texts: list[bytes] = np.ascontiguousarray(rows).view(f"V{rows.dtype.itemsize}").tolist()
    return texts


def frame_profile(value: bytes | None) -> bytes | None:
    """The profile's hash (8 characters) that a frame carries; None for anything else."""
    if value is None or len(value) < 12 or not value.startswith(_MARKS):
        return None
    return value[4:12]


def of_others(values: Sequence[bytes | None], profiles: Iterable[bytes]) -> list[int]:
    """Indices of the frames that carry another profile than these hashes; no loop of Python's
    looks into a message that is no frame.
    """
    own = tuple(mark + profile for mark in _MARKS for profile in profiles)
    return [
        index
        for index, value in enumerate(values)
        if value is not None and value.startswith(_MARKS) and not value.startswith(own)
        if frame_profile(value) is not None
    ]


class FrameLayout:
    """The row of one profile.

    Fields beyond the head: `steps` (one sub-record per keyed step: input partition, input offset,
    next labels offset, time in us), `keys` (u8 hashes of the profile's hashed fields), `values`
    (f8: inputs and features, in the profile's order); with `scores` > 0 also the scored part: the
    score of each detector, and as the last one that of a shadow (NaN without one). Offsets not
    known yet are `NONE`. Frames of profile `also` are read like those of `profile`.
    """

    def __init__(
        self,
        profile: bytes,
        *,
        steps: int,
        keys: int,
        values: int,
        scores: int = 0,
        also: bytes = b"",
    ) -> None:
        self.profile = profile
        self._magic = SCORED_MAGIC if scores else MAGIC
        self._prefix = self._magic.to_bytes(4, "little") + profile.ljust(8, b"\0")
        self._prefixes = {self._prefix, self._prefix[:4] + (also or profile).ljust(8, b"\0")}
        fields = [
            *HEAD,
            ("steps", STEP, (steps,)),
            ("keys", "<u8", (keys,)),
            ("values", "<f8", (values,)),
        ]
        if scores:
            fields += [
                ("features_partition", "<i4"),
                ("features_offset", "<i8"),
                ("scored_us", "<i8"),
                ("bundle", "S16"),
                ("models_offset", "<i8"),
                ("online_labels", "<i8"),
                ("decision", "u1"),
                ("score", "<f8"),
                ("scores", "<f8", (scores,)),
            ]
        self.dtype = np.dtype(fields)

    def empty(self, n: int) -> NDArray[Any]:
        """`n` rows with magic and profile set, everything else zero."""
        rows = np.zeros(n, self.dtype)
        rows["magic"], rows["profile"] = self._magic, self.profile
        return rows

    def pack(self, frames: Frames) -> list[bytes]:
        """One message for each frame. Sets the length fields of `frames.rows`."""
        tails = frames.ids, frames.accounts, frames.payloads, frames.reasons
        for name, column in zip(_LENGTH_NAMES, tails, strict=True):
            frames.rows[name] = np.fromiter(map(len, column), np.int64, len(column))
        return list(map(b"".join, zip(_row_bytes(frames.rows), *tails, strict=True)))

    def whole_rows(self, values: Sequence[bytes | None]) -> NDArray[Any] | None:
        """The rows of frames, as a writable copy, if all are good; in one pass."""
        whole = [value for value in values if value is not None]
        sizes = np.fromiter(map(len, whole), np.int64, len(whole))
        if len(whole) < len(values) or (sizes < self.dtype.itemsize).any():
            return None
        rows = self.rows(whole)
        tails = sum(rows[name].astype(np.int64) for name in _LENGTH_NAMES)
        same = (rows["magic"] == self._magic) & (rows["profile"] == self.profile)
        return rows if same.all() and (sizes == self.dtype.itemsize + tails).all() else None

    def rows(self, values: Sequence[bytes]) -> NDArray[Any]:
        """The rows alone of frames that `check` has passed, as a writable copy."""
        size = self.dtype.itemsize
        return np.frombuffer(bytearray().join([value[:size] for value in values]), self.dtype)

    def ids(self, rows: NDArray[Any], values: Sequence[bytes]) -> list[bytes]:
        """The ids of frames whose rows are `rows`."""
        size = self.dtype.itemsize
        ends = (size + rows["id_len"].astype(np.int64)).tolist()
        return [value[size:end] for value, end in zip(values, ends, strict=True)]

    def with_rows(self, rows: NDArray[Any], values: Sequence[bytes]) -> list[bytes]:
        """The frames again, with other rows (of this or a wider layout) before the same tails."""
        size = self.dtype.itemsize
        return [row + value[size:] for row, value in zip(_row_bytes(rows), values, strict=True)]

    def unpack(self, values: Sequence[bytes]) -> Frames:
        """Decode frames that `check` has passed."""
        size, rows = self.dtype.itemsize, self.rows(values)
        lengths = np.stack([rows[name].astype(np.int64) for name in _LENGTH_NAMES])
        ends = (size + np.cumsum(lengths, axis=0)).tolist()
        return Frames(
            rows,
            [value[size:end] for value, end in zip(values, ends[0], strict=True)],
            *(
                [value[start:end] for value, start, end in zip(values, starts, stops, strict=True)]
                for starts, stops in pairwise(ends)
            ),
        )

    def check(self, value: bytes | None) -> Rejected | None:
        """Why this message is not a frame of this layout, or None.

        Raises Stop for a frame of another profile.
        """
        size, profile = self.dtype.itemsize, frame_profile(value)
        if value is None or profile is None:
            return Rejected(
                "not_a_frame",
                "the message is not a Tidegate frame; only Tidegate's own steps write here",
            )
        if self._prefix[:4] + profile not in self._prefixes:
            raise Stop(
                f"this topic holds frames of profile {profile!r}, this process runs "
                f"{self.profile!r}: "
                "let the processes of the old profile drain it first, then start this one"
            )
        if value[:4] != self._prefix[:4]:
            return self._of_another_kind(value)
        if len(value) < size:
            return Rejected("truncated_frame", f"{len(value)} bytes, a frame has at least {size}")
        row = np.frombuffer(value[:size], self.dtype)[0]
        expected = size + sum(int(row[name]) for name in _LENGTH_NAMES)
        if len(value) != expected:
            return Rejected(
                "truncated_frame", f"{len(value)} bytes where the frame's lengths say {expected}"
            )
        return None

    def _of_another_kind(self, value: bytes) -> Rejected:
        """Raises Stop for a scored frame of versions that had no place for a shadow's score."""
        if self._magic == SCORED_MAGIC and len(value) >= LENGTHS.itemsize:
            head = np.frombuffer(value[: LENGTHS.itemsize], LENGTHS)[0]
            if len(value) == self.dtype.itemsize - 8 + sum(
                int(head[name]) for name in _LENGTH_NAMES
            ):
                raise Stop(
                    "this topic holds frames of another version of Tidegate: let the processes of "
                    "that version "
                    "drain it first, then start this one"
                )
        return Rejected(
            "not_a_frame", "the frame is one of another topic; only Tidegate's own steps write here"
        )

    def good(self, values: Sequence[bytes | None]) -> tuple[list[int], list[tuple[int, Rejected]]]:
        """Indices of the frames that can be unpacked, and what is wrong with the others."""
        if self._all_good(values):
            return list(range(len(values))), []
        faults = [
            (i, fault) for i, value in enumerate(values) if (fault := self.check(value)) is not None
        ]
        bad = {i for i, _ in faults}
        return [i for i in range(len(values)) if i not in bad], faults

    def _all_good(self, values: Sequence[bytes | None]) -> bool:
        """Whether all are, at a tenth of the price; False says only that one of them is not."""
        whole = [value for value in values if value is not None]
        sizes = np.fromiter(map(len, whole), np.int64, len(whole))
        if len(whole) < len(values) or (sizes < self.dtype.itemsize).any():
            return False
        heads = np.frombuffer(b"".join([value[: LENGTHS.itemsize] for value in whole]), LENGTHS)
        tails = sum(heads[name].astype(np.int64) for name in _LENGTH_NAMES)
        same = heads["prefix"] == np.frombuffer(self._prefix, "V12")
        if not same.all():
            for also in self._prefixes - {self._prefix}:
                same |= heads["prefix"] == np.frombuffer(also, "V12")
        return bool(same.all() and (sizes == self.dtype.itemsize + tails).all())

    def ours(self, value: bytes) -> bool:
        """Whether this is a whole frame of this layout, for readers that pass over all others."""
        return value[:12] in self._prefixes and self.check(value) is None
