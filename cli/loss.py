"""Accepting that records are lost: what `tidegate skip --accept-loss` says and orders."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from cli.options import print_json
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.broker.records import Position, TopicPartition
    from tidegate.messages.documents import AcceptedLoss


def losses(
    broker: Broker,
    places: Mapping[TopicPartition, tuple[Position | None, int, int]],
    stage: str,
    *,
    by: str,
) -> list[AcceptedLoss]:
    """What to accept at each place: the stage's position, and where the partition begins and ends.

    Raises ConfigError when nothing is lost at any of them.
    """
    from tidegate.messages.documents import AcceptedLoss
    from tidegate.stream.positions import lost_between
    from tidegate.stream.skips import topic_id

    found = []
    for source, (position, first, end) in places.items():
        hold = lost_between(source.topic, position, first, end) if position else None
        if hold is not None:
            identity, given_us = topic_id(broker, source.topic), time.time_ns() // 1000
            lost = (*hold.in_messages(source.topic), hold.lost)
            found.append(AcceptedLoss(stage, source.partition, identity, *lost, by, given_us))
    if not found:
        where = "; ".join(_goes_on(source, place) for source, place in places.items())
        raise ConfigError(f"nothing is lost: {stage} goes on {where}")
    return found


def _goes_on(source: TopicPartition, place: tuple[Position | None, int, int]) -> str:
    from tidegate.broker.addresses import shown

    position, *bounds = place
    next_, first, end = (
        shown(source.topic, address)
        for address in (position.offset if position else bounds[0], *bounds)
    )
    return (
        f"at offset {next_} of {source.topic}/{source.partition}, which has offsets {first} to "
        f"{end}"
    )


def show_losses(
    found: Sequence[AcceptedLoss], *, dry_run: bool, as_json: bool, is_list: bool = False
) -> None:
    """Tell people, or scripts, what was ordered or would be; `is_list`: JSON is an array."""
    if as_json:
        told = [_told(loss, dry_run=dry_run) for loss in found]
        print_json(told if is_list else told[0])
        return
    for loss in found:
        typer.echo(_words(loss))
    if dry_run:
        typer.echo("nothing was ordered; without --dry-run the loss is accepted")
    else:
        typer.echo(f"ordered: {found[0].stage} does it at once if it runs, else when it starts")


def _told(loss: AcceptedLoss, *, dry_run: bool) -> dict[str, object]:
    from tidegate.messages.documents import lost_range

    first, last = lost_range(loss.offset, loss.until, loss.lost)
    numbers = {"from": first, "until": last, "lost": loss.lost, "goes_on": loss.until}
    return {"stage": loss.stage, "partition": loss.partition, "ordered": not dry_run, **numbers}


def _words(loss: AcceptedLoss) -> str:
    from tidegate.messages.documents import lost_range

    first, last = lost_range(loss.offset, loss.until, loss.lost)
    return (
        f"partition {loss.partition}: {loss.lost:,} records (transaction markers counted) are lost "
        f"between offset {first} and {last}; {loss.stage} goes on at offset {loss.until}, where "
        "the log begins"
    )
