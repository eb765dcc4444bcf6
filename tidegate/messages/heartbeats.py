"""What processes say of themselves on topic status: heartbeats, and what is in them."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["input", "derived", "score"]


class Moved(msgspec.Struct):
    """A column's distance from the training: population stability index, Kolmogorov-Smirnov."""

    name: str
    kind: Kind
    psi: float
    ks: float


class Drift(msgspec.Struct):
    """A partition's newest rows against what their bundle learnt from, largest PSI first."""

    bundle: str
    rows: int
    moved: list[Moved]


class Held(msgspec.Struct):
    """A partition that does not go on because too many of its records are rejects, or are lost.

    Nothing from `offset` on is committed. The rejects that count lie before `until`. With `lost`
    records, the log has nothing at `offset`, and begins at `until`.
    """

    partition: int
    offset: int
    until: int
    reasons: list[str]
    lost: int = 0


class Restoring(msgspec.Struct):
    """A partition whose state is on its way to the committed position.

    `done` is the share of the way (0 to 1), `left` the records and `seconds` the time that remain;
    -1 where that is not known yet.
    """

    partition: int
    done: float
    left: int
    seconds: float

    def __str__(self) -> str:
        if self.left < 0:
            return f"partition {self.partition} waits to be restored"
        about = f", about {self.seconds:,.0f} s left" if self.seconds >= 0 else ""
        return f"restoring partition {self.partition}: {self.done:.0%}{about}"


class Prepared(msgspec.Struct, omit_defaults=True):
    """What came of the newest order to prepare, at `offset` of the topic models."""

    bundle: str
    offset: int
    fault: str = ""
    """Why the bundle cannot be loaded; empty: it is."""
    loading: bool = False
    """It is still being fetched; then `fault` says so, for readers of the version before."""


class Heartbeat(msgspec.Struct, omit_defaults=True):
    """What a process says of itself once a second (topic status, key process).

    Processes of two versions read each other's while one replaces the other. So a reader ignores
    fields that it does not know, and a new field has a default, with which it is left out.
    """

    process: str
    stage: str
    pid: int
    host: str
    partitions: list[int]
    restored: bool
    lag: int
    processed: int
    rejected: int
    restarts: int
    bundle: str
    models_offset: int
    metrics_port: int
    time_us: int
    stopping: bool = False
    drift: Drift | None = None
    refused: str = ""
    """Of a scorer: the champion or the policy that it cannot load, and why."""
    held: list[Held] = []
    restoring: list[Restoring] = []
    prepared: Prepared | None = None
    """Of a scorer: the bundle that it has loaded for a promotion, or could not load."""
    policy: str = ""
    """Of a scorer: the version of the policy in force; empty without one."""
    batch: int = 0
    """Records of the newest transaction, and how far the stage is behind on its side topic."""
    side_lag: int = 0
    busy: float = -1.0
    """Processors that it kept busy since the heartbeat before; -1 where that is not known."""


decode_heartbeat = msgspec.json.Decoder(Heartbeat).decode
