"""The progress of commands that work through known shares: a bar on a terminal, else lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

Report = Callable[[float, str], None]
"""Called with the share done, from 0 to 1, and what is done next."""
Counted = Callable[[str, int, int | None], None]
"""Called with what is done, how many, and of how many if that is known."""


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Report]:
    """Shows on standard error what the function it gives is told; nothing when `quiet`."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield lambda _share, _what: None
    elif console.is_terminal:
        with _bar(title, console) as report:
            yield report
    else:
        yield Lines(title)


@contextmanager
def _bar(title: str, console: Console) -> Iterator[Report]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(TextColumn(title), BarColumn(), *columns, console=console) as bars:
        task = bars.add_task("history", total=1.0)
        yield lambda share, what: bars.update(task, completed=share, description=what)


class Lines:
    """Writes a line like `training: 40%, boosted on 900 transactions`, at most one in 2 s."""

    SECONDS = 2.0

    def __init__(self, title: str) -> None:
        self._title, self._written, self._next = title, "", 0.0

    def __call__(self, share: float, what: str) -> None:
        line = f"{self._title}: {share:.0%}, {what}"
        now = time.monotonic()
        if line != self._written and now >= self._next:
            self._written, self._next = line, now + self.SECONDS
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


@contextmanager
def steps(*, quiet: bool = False) -> Iterator[Counted]:
    """As `progress_bar` for several counts: a bar for each, with its rate and the time left."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield lambda _what, _done, _total: None
    elif console.is_terminal:
        with _bars(console) as bars:
            yield Bars(bars)
    else:
        yield CountedLines()


def _bars(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description:8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )


class Bars:
    """A bar for each count, from when it is first told of."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, rate="")
        task = self._tasks[what]
        speed = self._bars.tasks[task].speed
        rate = f"{speed:,.0f}/s" if speed else ""
        self._bars.update(task, completed=done, total=total, rate=rate)


class CountedLines:
    """Writes a line like `posted 40,000 of 100,000, 9,000/s, 7 s left`, at most one in 5 s."""

    SECONDS = 5.0

    def __init__(self) -> None:
        self._begun: dict[str, tuple[float, int]] = {}
        self._next = 0.0

    def __call__(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        self._next = self._next or now + self.SECONDS
        begin, before = self._begun.setdefault(what, (now, done))
        if now < self._next:
            return
        self._next = now + self.SECONDS
        rate = (done - before) / max(now - begin, 1e-3)
        words = f"{what} {done:,}" + (f" of {total:,}" if total else "") + f", {rate:,.0f}/s"
        if total and rate:
            words += f", {(total - done) / rate:,.0f} s left"
        sys.stderr.write(words + "\n")
        sys.stderr.flush()
