"""Bugs for the checker to catch, put into a running process of the product from outside.

`variables` start a process with one: Python then runs `plugin/sitecustomize.py`, which waits for a
module to be imported and changes one function in it. The product's code knows nothing of it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.features.id_tables import Words
    from model.features.known_ids import IdMemory
    from model.features.state import KeyedState
    from tidegate.broker.records import Batch, Position, TopicPartition
    from tidegate.stream.assignment import Assignment
    from tidegate.stream.partition import Hold, Partition
    from tidegate.stream.sink import KafkaSink
    from tidegate.stream.stage import Output

    Ints = NDArray[np.int64]
    Results = list[tuple[Batch, Output]]
    Positions = dict[TopicPartition, Position]

Change = Callable[[ModuleType], None]

_PLUGIN = Path(__file__).resolve().parent / "plugin"
_HOUR = 3_600_000_000
_ROOT = Path(__file__).resolve().parents[2]


def variables(bug: str) -> dict[str, str]:
    """The environment of a process with this bug."""
    return {"PYTHONPATH": f"{_PLUGIN}:{_ROOT}", "TIDEGATE_TEST_PLANT": bug}


def plant(bug: str) -> None:
    """Put the bug into its module as soon as that is imported."""
    module, change = BUGS[bug]
    sys.meta_path.insert(0, _Finder(module, change))


class _Finder(MetaPathFinder):
    def __init__(self, module: str, change: Change) -> None:
        self._module, self._change = module, change

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._module:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        spec.loader = _Changing(spec.loader, self._change)
        return spec


class _Changing(Loader):
    def __init__(self, loader: Loader, change: Change) -> None:
        self._loader, self._change = loader, change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._change(module)


def _commit_before_write(sink: ModuleType) -> None:
    """The position is committed, and a while later the outputs are written."""
    whole, pause = sink.KafkaSink.write, threading.Event()

    def write(self: KafkaSink, results: Results, positions: Positions) -> None:
        whole(self, [], positions)
        pause.wait(1.0)
        whole(self, results, {})

    sink.KafkaSink.write = write


def _no_seek_after_abort(assignment: ModuleType) -> None:
    """A batch that was not written is not read again; every tenth is not.

    A broker that is away for so long that a transaction fails also ends the session, and a new
    assignment reads the batch again after all.
    """
    from tidegate.errors import Retry

    sink = import_module("tidegate.stream.sink")
    whole, number = sink.KafkaSink.write, count(1)

    def write(self: KafkaSink, results: Results, positions: Positions) -> None:
        if results and next(number) % 10 == 0:
            raise Retry("a planted abort")
        whole(self, results, positions)

    def rewind(self: Assignment, _sources: object, error: Retry) -> None:
        self.back_off(error)

    sink.KafkaSink.write = write
    assignment.Assignment.rewind = rewind


def _dedupe_off(known_ids: ModuleType) -> None:
    """No id was ever met before."""
    from model.features.id_tables import NEW

    whole = known_ids.IdMemory.remember

    def remember(self: IdMemory, ids: Words, times: Ints) -> NDArray[np.int8]:
        known = whole(self, ids, times)
        known[:] = NEW
        return known

    known_ids.IdMemory.remember = remember


def _watermark_poisoned(state: ModuleType) -> None:
    """What is an hour behind the newest event of the partition counts for nobody."""
    whole, newest = state.KeyedState.fold, dict[int, int]()

    def fold(
        self: KeyedState,
        keys: Ints,
        hashes: Ints,
        times: Ints,
        ingested: Ints,
        values: NDArray[np.float64],
    ) -> None:
        newest[id(self)] = max(newest.get(id(self), 0), int(times.max()))
        late = times < newest[id(self)] - _HOUR
        keys = state.np.where(late, keys ^ times, keys)
        whole(self, keys, hashes, times, ingested, values)

    state.KeyedState.fold = fold


def _breaker_that_eats(assignment: ModuleType) -> None:
    """A partition with too many rejects goes on behind them instead of being held."""

    def hold(self: Assignment, partition: Partition, found: Hold) -> None:
        self._consumer.seek(partition.source, found.until)

    assignment.Assignment.hold = hold


BUGS: dict[str, tuple[str, Change]] = {
    "commit before write": ("tidegate.stream.sink", _commit_before_write),
    "no seek after abort": ("tidegate.stream.assignment", _no_seek_after_abort),
    "dedupe off": ("model.features.known_ids", _dedupe_off),
    "watermark poisoned": ("model.features.state", _watermark_poisoned),
    "breaker that eats": ("tidegate.stream.assignment", _breaker_that_eats),
}
"""Each bug's module, and what changes it."""
