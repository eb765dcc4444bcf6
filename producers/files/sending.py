"""One sending of one file: its first reading, and the posting of what is not durable yet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.files.reader import Reader
from model.files.refusals import MOST_REFUSED
from model.files.rows import Refusal, Rows
from model.files.sifting import sift
from producers.files.acknowledged import Acknowledged, hashes_of
from producers.files.distinct import Distinct
from producers.files.first_reading import FirstReading
from producers.files.follow import Follow
from producers.files.outgoing import Outgoing, first_rows, outgoing
from producers.files.posting import CONFLICT, Poster
from producers.files.rejects import Rejects, shown
from producers.files.sent import Rejection, Sent
from producers.files.spool import Spool
from producers.files.time_order import in_time_order
from tidegate.client import Client
from tidegate.errors import TidegateError
from tidegate.words import count

FEW_REFUSED = 20
"""So many refused rows are borne, whatever their share."""
_LATE = 1000
"""So many refusals by the API of rows that the profile takes are borne, whatever their share."""
_TOLD = 20

Progress = Callable[[str, int, int | None], None]
"""Called with what is done ("read", "posted" or "settled"), how many, and of how many if known."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a file is sent. `limit`: its first rows only, 0: all; `rate`: rows a second, 0: all.

    `as_is` keeps the order of the file, `stream` posts while it is read for the first time, and
    `restart` posts also what was acknowledged before. Of more refused rows than the share
    `most_refused` nothing is posted.
    """

    batch: int = 5000
    rate: float = 0.0
    limit: int = 0
    restart: bool = False
    as_is: bool = False
    stream: bool = False
    most_refused: float = MOST_REFUSED
    rejects: Path | None = None
    show_values: bool = False
    patience: float = 300.0


AS_USUAL = Options()


class Sending:
    """One sending of one file."""

    def __init__(
        self,
        reader: Reader,
        client: Client,
        journal: Acknowledged,
        rejects: Rejects,
        spool: Spool,
        options: Options,
        progress: Progress,
    ) -> None:
        self._reader, self._journal, self._rejects = reader, journal, rejects
        self._spool, self._options, self._progress = spool, options, progress
        self._stop = client.stop
        rate, batch = options.rate, options.batch
        self._batch = min(batch, max(1, int(rate / 5))) if rate else batch
        self._poster = Poster(client, journal, rate)
        self._look = FirstReading(reader.profile)
        self._distinct = Distinct()
        self._late: list[Refusal] = []
        self.sent = Sent(rejections_file=str(rejects.path))

    def read_first(self) -> None:
        """Read the whole file once, unless it is to be sent while it is read.

        Raises TidegateError where it has no rows, or too many that are refused.
        """
        if self._options.stream:
            return
        for rows in self._read():
            good, known = self._sift(rows)
            self._distinct.look(good.ids)
            self._spool.add(good, known)
            self._progress("read", self._look.rows, None)
        self._distinct.finish()
        if self._stop.is_set():
            return
        self._check_rows()
        refused, most = self._look.refused, self._options.most_refused
        if refused > FEW_REFUSED and refused > most * self._look.rows:
            self._rejects.close()
            raise TidegateError(
                f"{self._reader.place}: {refused:,} of {count(self._look.rows, 'row')} are "
                f"refused, more than {100 * most:.4g}% (--max-refused): nothing was sent. They "
                f"are listed in {self._rejects.path}, such as:\n"
                + "\n".join(f"  {one.sentence}" for one in self.sent.first_rejections[:5])
            )
        self._check_made_ids()

    def _check_made_ids(self) -> None:
        """Raises TidegateError where rows without ids are read otherwise than when they were sent.

        With ids of their own they would be refused as conflicting; with made ones they would be
        further transactions.
        """
        options, before = self._options, self._journal.rows_of(self._reader.digest)
        if options.restart or options.limit or not self._reader.made_ids:
            return
        known = self.sent.acknowledged_before
        if known < before:
            raise TidegateError(
                f"{self._reader.place}: of the {count(before, 'row')} that were sent from it "
                f"{before - known:,} are read otherwise now, so the profile must "
                "have changed. The ids of rows that have none are made of what they say: these "
                "would be new transactions beside the old ones. Nothing was sent; --restart sends "
                "the whole file so"
            )

    def _check_rows(self) -> None:
        if not self._look.rows:
            raise TidegateError(f"{self._reader.place} has no rows: nothing was sent")

    def _read(self) -> Iterator[Rows]:
        for rows in first_rows(self._reader, self._batch, self._options.limit):
            if self._stop.is_set():
                return
            yield rows

    def _sift(self, rows: Rows) -> tuple[Outgoing, NDArray[np.bool_]]:
        """The rows that the API will take, and which of them were acknowledged before; the others
        are written down.
        """
        sifted = sift(self._reader.profile, rows)
        self._look.add(rows, sifted)
        self._refuse(rows, sifted.refused)
        good = outgoing(rows, sifted)
        if self._options.restart:
            return good, np.zeros(len(good.ids), bool)
        known = self._journal.known(hashes_of(good.lines))
        self.sent.acknowledged_before += int(known.sum())
        return good, known

    def _refuse(self, rows: Rows, refused: list[Refusal]) -> None:
        if not refused:
            return
        self._rejects.add(rows, refused)
        self.sent.rejected += len(refused)
        by_reason = Counter(self.sent.rejected_by_reason)
        by_reason.update(one.reason for one in refused)
        self.sent.rejected_by_reason = dict(by_reason)
        told = refused[: _TOLD - len(self.sent.first_rejections)]
        cells = shown(rows, told) if self._options.show_values else {}
        self.sent.first_rejections += [
            Rejection(*refusal, cells.get(refusal.number, "")) for refusal in told
        ]

    def run(self, follow: Follow | None) -> Sent:
        """Post all that was not acknowledged before, and tell `follow` what is durable."""
        begin, sorts = time.monotonic(), self._look.older > 0 and not self._options.as_is
        rows = self._unknown(follow)
        if sorts:
            rows = in_time_order(rows, self._journal.folder, self._batch)
        for some in rows:
            if self._stop.is_set():
                break
            self._post(some, follow)
        self._check_rows()
        self._refuse_late()
        sent, poster = self.sent, self._poster
        sent.read, sent.posted, sent.accepted = self._look.rows, poster.posted, poster.accepted
        sent.from_us, sent.to_us = self._look.oldest, self._look.newest
        digest, durable = self._reader.digest, sent.acknowledged_before + sent.accepted
        self._journal.note(digest, max(durable, self._journal.rows_of(digest)))
        sent.unknown_columns = list(self._reader.unknown)
        sent.remarks = [*self._reader.told, *self._look.sentences(in_order=sorts)]
        sent.remarks += [*self._made_ids(), *self._other_profile()]
        sent.seconds = time.monotonic() - begin
        return sent

    def _unknown(self, follow: Follow | None) -> Iterator[Outgoing]:
        """What is to be posted."""
        sifted = map(self._sift, self._read()) if self._options.stream else self._spool.rows()
        for good, known in sifted:
            self._watch(good.at(np.flatnonzero(known)), follow)
            if not known.all():
                yield good.at(np.flatnonzero(~known))

    def _watch(self, rows: Outgoing, follow: Follow | None) -> None:
        """Have durable rows watched, each id once."""
        if follow is not None:
            follow.add(self._distinct.first(rows.ids))

    def _post(self, rows: Outgoing, follow: Follow | None) -> None:
        accepted, refused = self._poster.post(rows)
        self._watch(accepted, follow)
        self._late += refused
        late = len(self._late)
        if late > _LATE and late > self._options.most_refused * self._poster.posted:
            raise TidegateError(
                f"the API refused {late:,} of {self._poster.posted:,} rows that the profile takes: "
                f"does it run another profile? {self._late[0].reason}: {self._late[0].detail}"
            )
        done = self._poster.posted + self.sent.acknowledged_before
        self._progress("posted", done, self._look.rows - self._look.refused)

    def _refuse_late(self) -> None:
        """Write down what the API refused: their cells are read once more."""
        late = {refusal.number: refusal for refusal in self._late}
        if not late:
            return
        for rows in first_rows(self._reader, self._batch, self._options.limit):
            here = [late[number] for number in rows.numbers.tolist() if number in late]
            self._refuse(rows, here)

    def _other_profile(self) -> Iterator[str]:
        refused = sum(one.reason != CONFLICT for one in self._late)
        if refused:
            yield (
                f"{count(refused, 'row')} that this profile takes were refused by the API: if the "
                "profile has changed, start what runs with it anew"
            )

    def _made_ids(self) -> Iterator[str]:
        made = self._reader.made_ids
        if made:
            yield (
                f"{made:,} of {self._look.rows:,} rows have no {self._reader.profile.id_field}: "
                "their ids are made of what each row says, so that the same file, also when it "
                "has grown, makes no second transaction of a row"
            )
