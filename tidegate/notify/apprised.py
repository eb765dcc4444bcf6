"""Mail, chat, pagers and SMS by Apprise."""

from __future__ import annotations

import logging
import threading

import apprise

from tidegate.notify.config import Channel
from tidegate.notify.events import Message
from tidegate.notify.sending import LONGEST_ERROR, Undelivered

_LOGGER = logging.getLogger("apprise")
_LOGGER.propagate = False  # it may name addresses that hold secrets; what it says is kept, redacted


class Apprised:
    """Sends by one channel's address."""

    def __init__(self, channel: Channel) -> None:
        asset = apprise.AppriseAsset(app_id="Tidegate", app_desc="Tidegate", async_mode=False)
        self._apprise = apprise.Apprise(asset=asset)
        self._apprise.add(channel.address)
        self._redact = channel.redact

    def send(self, message: Message) -> None:
        """Raises Undelivered with what Apprise says of it."""
        with _Heard() as heard:
            taken = self._apprise.notify(
                body=message.text or message.subject, title=message.subject
            )
        if not taken:
            why = self._redact("; ".join(heard.lines)) or "the service did not take it"
            raise Undelivered(why[:LONGEST_ERROR])


class _Heard(logging.Handler):
    """What Apprise says in this thread while the block runs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())

    def __enter__(self) -> _Heard:
        _LOGGER.addHandler(self)
        return self

    def __exit__(self, *_ended: object) -> None:
        _LOGGER.removeHandler(self)
