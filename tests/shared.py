"""What the workers of one test run share: a folder, things made once in it, and servers started
once.

`pytest -n 2` runs two processes; each would start a Kafka and train the models of its own. Here the
one that comes first does so under a lock, and the other finds what was made.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

FOLDER = "TIDEGATE_TEST_RUN"
"""Environment variable with the folder of this run. `tests.marks` makes it and removes it."""
MAKING = "tests.shared.made_once"
"""Audit event that something is made once."""


def run_folder() -> Path:
    """A folder of this run, the same for all of its workers."""
    return Path(os.environ[FOLDER])


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` of this run, after `make(folder)` has filled it in one of the workers."""
    folder, done = run_folder() / name, run_folder() / f"{name}.done"
    with _locked(f"{name}.lock", fcntl.LOCK_EX):
        if not done.exists():
            sys.audit(MAKING, name)
            folder.mkdir(parents=True, exist_ok=True)
            make(folder)
            done.touch()
    return folder


@contextmanager
def shared_server(name: str, start: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """The address of a server of this run, which `start` runs in the worker that comes first.

    Each user holds a shared lock; the worker that started the server waits for all of them before
    it stops it.
    """
    file = run_folder() / f"{name}.address"
    with ExitStack() as server:
        with ExitStack() as use:
            with _locked(f"{name}.lock", fcntl.LOCK_EX):
                use.enter_context(_locked(f"{name}.users", fcntl.LOCK_SH))
                if started := not file.exists():
                    file.write_text(server.enter_context(start()))
            yield file.read_text()
        if started:
            server.enter_context(_locked(f"{name}.lock", fcntl.LOCK_EX))
            server.enter_context(_locked(f"{name}.users", fcntl.LOCK_EX))
            file.unlink()


@contextmanager
def _locked(name: str, how: int) -> Iterator[None]:
    """While the block runs, a file of the run's folder is locked against other workers."""
    with (run_folder() / name).open("w") as file:
        fcntl.flock(file, how)
        yield
