"""Frames: how a transaction travels between the steps.

A frame is a fixed row (a numpy record, little-endian, packed) and a tail of four variable parts -
id, account, payload, reasons. A batch of frames is decoded by one `np.frombuffer`, so no Python
loop touches a feature.

One frame on `transactions.features`: transaction t-1 of account u7, in a profile of one keyed step,
two hashed fields and three values, posted as {"id":"t-1","user_id":"u7","amount":12.5}.

    byte  field         bytes                            means
       0  magic         54 47 46 32                      "TGF2", features; "TGS4" once it is scored
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
payload of an erasable profile is encrypted (`tidegate.messages.ciphertext`). On topics frames lie
in blocks (`tidegate.messages.frame_column`), and an offset there is an address (see
`tidegate.broker.addresses`). Frames of versions before are read like the others (see
`tidegate.messages.frame_rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import Rejected, Stop
from tidegate.messages.frame_column import (
    LENGTH_NAMES,
    LENGTHS,
    FrameColumn,
    is_block,
    refuse_other_version,
)
from tidegate.messages.frame_marks import MAGIC, SCORED_MAGIC, frame_profile
from tidegate.messages.frame_rows import NONE as NONE
from tidegate.messages.frame_rows import RowForms
from tidegate.messages.texts import Texts

DECISIONS = ("approve", "review", "block")
Decision = Literal["approve", "review", "block"]


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


class FrameLayout:
    """The row of one profile.

    Fields beyond the head: `steps` (one sub-record per keyed step: input partition, input offset,
    next labels offset, time in us), `keys` (u8 hashes of the profile's hashed fields), `values`
    (f8: inputs and features, in the profile's order); with `scores` > 0 also the scored part: the
    score of each detector, as the last one that of a shadow (NaN without one), and what the policy
    made of it (see `tidegate.messages.frame_rows`). Offsets not known yet are `NONE`. Frames of
    profile `also` are read like those of `profile`.
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
        self._forms = RowForms(self._magic, steps, keys, values, scores)
        self._profiles = {profile.ljust(8, b"\0"), (also or profile).ljust(8, b"\0")}
        prefixes = [mark + own for mark in self._forms.marks for own in sorted(self._profiles)]
        self._prefixes = np.array(prefixes, "S12")
        self.dtype = self._forms.dtype

    def empty(self, n: int) -> NDArray[Any]:
        """`n` rows with magic and profile set, everything else zero."""
        rows = np.zeros(n, self.dtype)
        rows["magic"], rows["profile"] = self._magic, self.profile
        return rows

    def pack(self, frames: Frames) -> FrameColumn:
        """The frames as they go on. Sets the length fields of `frames.rows`."""
        texts = frames.ids, frames.accounts, frames.payloads, frames.reasons
        tails = [Texts.of(column) for column in texts]
        for name, tail in zip(LENGTH_NAMES, tails, strict=True):
            frames.rows[name] = tail.lengths
        return FrameColumn.of_rows(frames.rows, tails)

    def rows(self, values: Sequence[bytes]) -> NDArray[Any]:
        """The rows alone of frames that `check` has passed, as a writable copy in this version's
        form.
        """
        return self._forms.read(values)

    def column(self, values: Sequence[bytes]) -> FrameColumn:
        """Frames that `check` has passed, by column."""
        if isinstance(values, FrameColumn):
            if values.row_size == self.dtype.itemsize:
                return values
            return FrameColumn.of_rows(self.rows(values), values.tails)
        rows = self.rows(values)
        starts = np.fromiter(map(self._forms.size_of, values), np.int64, len(values))
        tails = []
        for name in LENGTH_NAMES:
            ends = starts + rows[name]
            places = zip(values, starts.tolist(), ends.tolist(), strict=True)
            tails.append(Texts.of([value[start:end] for value, start, end in places]))
            starts = ends
        return FrameColumn.of_rows(rows, tails)

    def unpack(self, values: Sequence[bytes]) -> Frames:
        """Decode frames that `check` has passed."""
        column = self.column(values)
        return Frames(column.rows_as(self.dtype), *(tail.texts for tail in column.tails))

    def check(self, value: bytes | None) -> Rejected | None:
        """Why this message is not a frame of this layout, or None.

        Raises Stop for a frame of another profile, and for a block of another layout.
        """
        if value is not None and is_block(value):
            refuse_other_version(value)
            return Rejected("truncated_frame", f"a block of {len(value)} bytes that is not whole")
        profile = frame_profile(value)
        if value is None or profile is None:
            detail = "the message is not a Tidegate frame; only Tidegate's own steps write here"
            return Rejected("not_a_frame", detail)
        if profile not in self._profiles:
            raise Stop(
                f"this topic holds frames of profile {profile!r}, this process runs "
                f"{self.profile!r}: let the processes of the old profile drain it first, then "
                "start this one"
            )
        if not value.startswith(self._forms.marks):
            return self._of_another_kind(value)
        size = self._forms.size_of(value)
        if len(value) < size:
            return Rejected("truncated_frame", f"{len(value)} bytes, a frame has at least {size}")
        expected = self._forms.whole(value)
        if len(value) != expected:
            return Rejected(
                "truncated_frame", f"{len(value)} bytes where the frame's lengths say {expected}"
            )
        return None

    def _of_another_kind(self, value: bytes) -> Rejected:
        """Raises Stop for a scored frame of versions that had no place for a shadow's score."""
        if self._magic == SCORED_MAGIC and len(value) >= LENGTHS.itemsize:
            head = np.frombuffer(value[: LENGTHS.itemsize], LENGTHS)[0]
            tail = sum(int(head[name]) for name in LENGTH_NAMES)
            if len(value) == self._forms.before.itemsize - 8 + tail:
                raise Stop(
                    "this topic holds frames of another version of Tidegate: let the processes of "
                    "that version drain it first, then start this one"
                )
        return Rejected(
            "not_a_frame", "the frame is one of another topic; only Tidegate's own steps write here"
        )

    def good(self, values: Sequence[bytes | None]) -> tuple[list[int], list[tuple[int, Rejected]]]:
        """Indices of the frames that can be unpacked, and what is wrong with the others."""
        if self._all_good(values):
            return list(range(len(values))), []
        checked = ((i, self.check(value)) for i, value in enumerate(values))
        faults = [(i, fault) for i, fault in checked if fault is not None]
        bad = {i for i, _ in faults}
        return [i for i in range(len(values)) if i not in bad], faults

    def take(
        self, values: Sequence[bytes | None]
    ) -> tuple[FrameColumn, list[int], list[tuple[int, Rejected]]]:
        """The good frames by column, their indices, and what is wrong with the others."""
        good, faults = self.good(values)
        if not faults:
            return self.column(cast("Sequence[bytes]", values)), good, faults
        return self.column([values[i] or b"" for i in good]), good, faults

    def _all_good(self, values: Sequence[bytes | None]) -> bool:
        """Whether all are, at a tenth of the price; False says only that one of them is not."""
        if isinstance(values, FrameColumn):  # blocks are whole
            return self._prefixed(values.rows, np.full(len(values), values.row_size))
        whole = [value for value in values if value is not None]
        if len(whole) < len(values) or any(len(value) < LENGTHS.itemsize for value in whole):
            return False
        heads = np.frombuffer(b"".join([value[: LENGTHS.itemsize] for value in whole]), LENGTHS)
        tails = sum(heads[name].astype(np.int64) for name in LENGTH_NAMES)
        lengths = np.fromiter(map(len, whole), np.int64, len(whole))
        begins = heads.view(np.uint8).reshape(len(whole), LENGTHS.itemsize)
        return self._prefixed(begins, lengths - tails)

    def _prefixed(self, begins: NDArray[np.uint8], sizes: NDArray[np.int64]) -> bool:
        """Whether all rows, of which u1[n, 12 or more] are there, begin as they may and have the
        size of the form that they name.
        """
        prefixes = _prefixes(begins)
        magics = np.ascontiguousarray(begins[:, :4]).view("<u4").ravel()
        known = np.isin(prefixes, self._prefixes)
        return bool((known & (self._forms.sizes(magics) == sizes)).all())

    def ours(self, value: bytes) -> bool:
        """Whether this is a whole frame of this layout, for readers that pass over all others."""
        known = value[4:12] in self._profiles and value.startswith(self._forms.marks)
        return known and self.check(value) is None

    def own(self, values: Sequence[bytes | None]) -> tuple[FrameColumn, list[int]]:
        """The frames of this layout and their indices, for readers that pass over all others."""
        if self._all_good(values):
            return self.column(cast("Sequence[bytes]", values)), list(range(len(values)))
        places = [i for i, value in enumerate(values) if value is not None and self.ours(value)]
        return self.column([values[i] or b"" for i in places]), places


def _prefixes(rows: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """The first 12 bytes of rows u1[n, size]: magic and profile."""
    return np.ascontiguousarray(rows[:, :12]).view("S12").ravel()
