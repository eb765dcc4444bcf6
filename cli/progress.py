"""The progress of commands that work through known shares: a bar on a terminal, else lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Report = Callable[[float, str], None]
"""Called with the share done, from 0 to 1, and what is done next."""


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
