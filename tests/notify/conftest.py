"""An outbox on both databases, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from consumers.notify.senders import ChannelThread, sender_of
from db.engine import reading
from db.notify.outbox import Outbox
from db.notify.tables import deliveries
from tests.notify.receivers import ALL_ALERTS, Receiver, config_of, receiver
from tidegate.notify.events import Event


class Desk:
    """An outbox on a configuration, with its channels' threads not started: `turn` is one of them.

    `now` is the clock.
    """

    def __init__(self, url: str, folder: Path, channels: str, routes: str = ALL_ALERTS) -> None:
        self.now = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp() * 1e6)
        self.url = url
        self.config = config_of(folder, f"channels:\n{channels}{routes}")
        self.outbox = Outbox(url, self.config, lambda: self.now)
        self.outbox.begin()
        self.threads = {
            name: ChannelThread(channel, self.outbox, sender_of(channel), lambda: self.now)
            for name, channel in self.config.channels.items()
        }

    def tell(self, *events: Event) -> None:
        self.outbox.add(events)

    def turn(self, channel: str = "hook") -> int:
        return self.threads[channel].turn()

    def states(self) -> dict[str, str]:
        """By the events' keys."""
        with reading(self.url) as connection:
            rows = connection.execute(select(deliveries).order_by(deliveries.c.created_us)).all()
        return {
            row.key.rpartition("/")[2] if "digest" not in row.key else "digest": row.state
            for row in rows
        }

    def last_error(self) -> str:
        with reading(self.url) as connection:
            return str(connection.scalar(select(deliveries.c.last_error)))


@pytest.fixture
def desks() -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(*arguments: object) -> Desk:
        made.append(Desk(*arguments))  # type: ignore[arg-type] # as Desk takes them
        return made[-1]

    yield make
    for desk in made:
        desk.outbox.close()


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


Make = Callable[..., Desk]
