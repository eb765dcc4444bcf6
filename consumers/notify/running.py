"""What runs beside the stage's loop: the channels' threads, and one that looks after them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consumers.notify.operations import Operations
from consumers.notify.senders import Senders
from consumers.notify.stage import NotifyStage
from db.notify.outbox import Outbox
from tidegate.broker.ports import Broker
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry
from tidegate.notify.config import load_config
from tidegate.profile import Profile

_LOG = logging.getLogger(__name__)
_EVERY_SECONDS = 1.0


class Notifier(NotifyStage):
    """The stage, and what it has to send with. Raises Retry while the database is away.

    Raises ConfigError for a wrong configuration, and where there is none.
    """

    def __init__(self, profile: Profile, path: Path | None, url: str) -> None:
        if path is None:
            raise ConfigError(
                "TIDEGATE_NOTIFY is not set: it names the file that says who is told of what "
                "(docs/alerts.md)"
            )
        self.config = load_config(path)
        self.outbox = Outbox(url, self.config, now_us)
        try:
            self._begun_us = self.outbox.begin()
            super().__init__(profile, self._begun_us)
        except Exception:
            self.outbox.close()
            raise
        self.senders = Senders(self.config, self.outbox, now_us)

    def operations(self, broker: Broker) -> Operations:
        """What follows the topics that tell of the pipeline."""
        profile, since_us = self._profile, self._begun_us
        return Operations(broker, profile, self.config, self.outbox, since_us, now_us)


@contextmanager
def while_telling(notifier: Notifier, broker: Broker, stop: threading.Event) -> Iterator[None]:
    """Send while the block runs, and look after what happens to the pipeline.

    A defect sets `stop`, and is raised in the end.
    """
    ended = threading.Event()
    operations = notifier.operations(broker).start()
    defects: list[Exception] = []

    def look() -> None:
        while not ended.wait(_EVERY_SECONDS):
            for duty in (notifier.senders.look, operations.turn):
                try:
                    duty()
                except Retry as error:
                    _LOG.warning("waiting: %s", error)
                except Exception as error:  # noqa: BLE001 - raised below, in the main thread
                    defects.append(error)
                    stop.set()
                    return

    notifier.senders.start()
    thread = threading.Thread(target=look, name="notify-look", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)
        operations.close()
        notifier.senders.close()
        notifier.outbox.close()
    if defects:
        raise defects[0]
