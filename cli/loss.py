"""Accepting that records are lost: what `tidegate skip --accept-loss` says and orders."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from cli.options import print_json
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.broker.records import Position, TopicPartition
    from tidegate.messages.documents import AcceptedLoss


def lost(
    broker: Broker,
    place: tuple[Position | None, int, int],
    stage: str,
    source: TopicPartition,
    *,
    by: str,
) -> AcceptedLoss:
    """What to accept at a place: the stage's position, and where the partition begins and ends.

    Raises ConfigError when nothing is lost.
    """
    from tidegate.messages.documents import AcceptedLoss
    from tidegate.stream.positions import lost_between
    from tidegate.stream.skips import topic_id

    position, first, end = place
    hold = lost_between(position, first, end) if position else None
    if hold is None:
        goes_on = position.offset if position else first
        raise ConfigError(
            f"nothing is lost: {stage} goes on at offset {goes_on} of "
            f"{source.topic}/{source.partition}, which has offsets {first} to {end}"
        )
    return AcceptedLoss(
        stage,
        source.partition,
        topic_id(broker, source.topic),
        hold.offset,
        hold.until,
        hold.lost,
        by,
        time.time_ns() // 1000,
    )


def show_loss(loss: AcceptedLoss, *, dry_run: bool, as_json: bool) -> None:
    """Tell people, or scripts, what was ordered or would be."""
    from tidegate.messages.documents import lost_range

    first, last = lost_range(loss.offset, loss.until, loss.lost)
    if as_json:
        numbers = {"from": first, "until": last, "lost": loss.lost, "goes_on": loss.until}
        print_json(
            {"stage": loss.stage, "partition": loss.partition, "ordered": not dry_run, **numbers}
        )
        return
    typer.echo(
        f"{loss.lost:,} records (transaction markers counted) are lost between offset {first} and "
        f"{last}; {loss.stage} goes on at offset {loss.until}, where the log begins"
    )
    if dry_run:
        typer.echo("nothing was ordered; without --dry-run the loss is accepted")
    else:
        typer.echo(f"ordered: {loss.stage} does it at once if it runs, else when it starts")
