"""The contract between a stage (pure) and the runner (all I/O).

A stage turns a `Batch` of one partition into an `Output`. It knows no Kafka, no clock and no
environment, so the same stage runs on the real broker, on the in-memory broker and on a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tidegate.broker.records import Batch, Headers

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Reject:
    """The record at `index` of the batch goes to the dead letters.

    `reason` is a stable word, `detail` a sentence for people, `exception` the type of what was
    raised, if anything was.
    """

    index: int
    reason: str
    detail: str
    exception: str = ""


@dataclass(slots=True)
class Emit:
    """Records for one topic, by column; `headers` only where a topic needs them.

    Values that are a `FrameColumn` go out in blocks, one for each partition of the topic. `hashes`
    i8[n] are the keys' murmur2 hashes; without them, each key is hashed for itself.
    """

    topic: str
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Headers | None] | None = None
    hashes: NDArray[np.int64] | None = None


@dataclass(slots=True)
class Output:
    """What a stage made of a batch.

    `rows` is what a database sink writes; its type is the sink's and the stage's matter. `pause`
    asks the runner to wait that many seconds before the next poll. `waits` are the indices of
    records to be looked at again later (see `tidegate.stream.waiting`); only for stages without
    snapshots. `on_commit` counts in metrics what was made, once it is durable: a batch that is
    rewound comes again. `passed` counts records of which nothing comes, by what they are.
    """

    emits: list[Emit] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    rows: object | None = None
    pause: float = 0.0
    on_commit: list[Callable[[], None]] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)
    passed: Mapping[str, int] = field(default_factory=dict)


class State(Protocol):
    """The state of one partition: a fold of the log.

    `begin` opens an undo log, `rollback` puts everything back bit for bit, `commit` forgets the
    undo log. A rollback without `begin`, and a `begin` on top of an open one, are errors.
    """

    def begin(self) -> None: ...
    def rollback(self) -> None: ...
    def commit(self) -> None: ...

    def arrays(self) -> Arrays:
        """A consistent copy of all that the state is, for a snapshot; never objects."""
        ...

    def digest(self) -> str:
        """SHA-256 of the canonical content: equal for equal folds, whatever the batches were."""
        ...


@runtime_checkable
class Incremental(Protocol):
    """A state that can say what of it has changed, so that a snapshot need not hold the rest."""

    def changes(self) -> Arrays | None:
        """A copy of what has changed since `mark`; None where all of it is as well saved."""
        ...

    def mark(self, saved: Arrays, *, whole: bool) -> None:
        """`saved` is a copy of all (`whole`) or of the changes: those from here on are next."""
        ...

    def apply(self, changes: Mapping[str, np.ndarray], /) -> None:
        """Become what the state was that gave these changes after the one that is loaded."""
        ...


S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class NoState:
    """The state of a stage that keeps none."""

    def begin(self) -> None:
        """Nothing to undo."""

    def rollback(self) -> None:
        """Nothing to put back."""

    def commit(self) -> None:
        """Nothing to forget."""

    def arrays(self) -> Arrays:
        return {}

    def digest(self) -> str:
        return ""


class Stage(Protocol[S]):
    """One step of the pipeline.

    `name` is the consumer group's and the metrics' name; `input` the topic it consumes. `side`
    names a topic that the runner reads in whole (all partitions, by assign) and hands to `absorb`,
    or is None. `snapshot_tag` changes whenever stored states must not be used any more (profile
    hash, bundle); "" says that the stage keeps no state, or one that the note beside its position
    holds (`tidegate.stream.sources`): then `absorb` is called once for each side batch, with a
    `NoState`, instead of once for each partition's state. `reach` is of how many
    offsets before a position the state there is made, 0 of all: what comes before need not be read
    again.
    """

    name: str
    input: str
    side: str | None
    snapshot_tag: str
    reach: int

    def new_state(self, partition: int, partitions: int, /) -> S:
        """The empty state of one partition of an input of `partitions` partitions."""
        ...

    def load_state(self, partition: int, partitions: int, arrays: Mapping[str, np.ndarray], /) -> S:
        """The state that `arrays()` described. Raises ConfigError when it does not fit."""
        ...

    def absorb(self, state: S, batch: Batch, /) -> None:
        """Apply records of the side topic to a partition's state, between begin and commit."""
        ...

    def side_from(self, state: S, /) -> int:
        """Side records stamped before this (ms) change nothing in the state; 0 when all may.

        It follows from the state alone and never falls, so that a fold of the whole side topic and
        one that begins here end in the same bits.
        """
        ...

    def process(self, state: S, batch: Batch, /) -> Output:
        """Turn a batch into outputs.

        Called between `begin` and `commit` of the state; may raise Retry or Stop.
        """
        ...


@runtime_checkable
class Replays(Protocol[S_contra]):
    """A stage that can fold without building outputs what was committed before."""

    def replay(self, state: S_contra, batch: Batch, /) -> Output:
        """Leave the state as `process` would, bit for bit; raise where that would.

        Called between `begin` and `commit` of the state. Rolled back where it raises a defect,
        never where it succeeded. What it returns is empty.
        """
        ...


@runtime_checkable
class InNote(Protocol):
    """A state of some hundred bytes that stands in the note beside the committed position.

    So it needs no snapshot, and its stage may put records off.
    """

    def to_note(self) -> bytes:
        """All of it, at most 800 bytes."""
        ...

    def from_note(self, kept: bytes, offset: int, /) -> None:
        """Become what `to_note` gave at the position `offset`; b"": nothing yet."""
        ...


class StatelessStage:
    """What all stages without a state of their own have in common."""

    side: str | None = None
    snapshot_tag = ""
    reach = 0

    def new_state(self, _partition: int, _partitions: int) -> State:
        return NoState()

    def load_state(
        self, _partition: int, _partitions: int, _arrays: Mapping[str, np.ndarray]
    ) -> NoState:
        return NoState()

    def absorb(self, _state: NoState, batch: Batch) -> None:
        """Without a side topic there is nothing to take."""

    def side_from(self, _state: NoState) -> int:
        return 0
