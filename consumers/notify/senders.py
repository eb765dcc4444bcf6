"""A thread for each channel, so that one that is down holds up no other."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence

from db.notify.outbox import GIVE_UP_US, Outbox
from tidegate import metrics
from tidegate.errors import Retry
from tidegate.notify.apprised import Apprised
from tidegate.notify.config import Channel, Config
from tidegate.notify.events import Message
from tidegate.notify.plan import backoff_us
from tidegate.notify.sending import LONGEST_ERROR, Sender, Undelivered
from tidegate.notify.webhook import Webhook

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
"""Between two looks at what is due; what was just placed is sent at once."""
_EXPIRE_US = 3_600_000_000


def sender_of(channel: Channel) -> Sender:
    """A channel's way to send."""
    return Webhook(channel) if channel.way == "webhook" else Apprised(channel)


class ChannelThread(threading.Thread):
    """Sends what is due on one channel until it is stopped. `clock` gives us.

    A message is marked as sent after it was taken. After a failure the channel rests, longer each
    time, and the message that failed comes again later than others.
    """

    def __init__(
        self, channel: Channel, outbox: Outbox, sender: Sender, clock: Callable[[], int]
    ) -> None:
        super().__init__(name=f"notify-{channel.name}", daemon=True)
        self._channel, self._outbox, self._sender, self._clock = channel, outbox, sender, clock
        self._ended, self._wake = threading.Event(), threading.Event()
        self._failures = self._rests_until_us = 0
        self.defect: BaseException | None = None

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    def end(self) -> None:
        """After the message that is being sent."""
        self._ended.set()
        self._wake.set()

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                self._wake.clear()
                try:
                    self.turn()
                except Retry as error:
                    _LOG.warning("channel %s waits: %s", self._channel.name, error)
                self._wake.wait(_LOOK_SECONDS)
        except BaseException as error:
            self.defect = error
            raise

    def turn(self) -> int:
        """Send what is due now; how many messages. Raises Retry while the database is away."""
        self._outbox.gather(self._channel)
        taken = 0
        while not self._ended.is_set() and self._clock() >= self._rests_until_us:
            message = self._outbox.claim(self._channel)
            if message is None:
                break
            taken += self._deliver(message)
        return taken

    def _deliver(self, message: Message) -> bool:
        """Whether it was taken."""
        count = metrics.NOTIFICATIONS.labels
        try:
            self._send(message)
        except Undelivered as error:
            gave_up = self._put_off(message, error)
            count(self._channel.name, "failed" if gave_up else "again").inc()
            return False
        self._outbox.sent(message.id)
        self._failures = 0
        count(self._channel.name, "sent").inc()
        return True

    def _send(self, message: Message) -> None:
        """Raises Undelivered for whatever a service's library raises: it must not end the stage."""
        try:
            self._sender.send(message)
        except Undelivered:
            raise
        except Exception as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from error

    def _put_off(self, message: Message, error: Undelivered) -> bool:
        """Whether no further attempt is made."""
        why = self._channel.redact(_printable(str(error)))[:LONGEST_ERROR]
        _LOG.warning("channel %s: %s is not delivered: %s", self._channel.name, message.id, why)
        attempts, created_us = self._outbox.attempts(message.id)
        now = self._clock()
        if error.final or now - created_us >= GIVE_UP_US:
            self._outbox.failed(message.id, why)
            return True
        asked_us = int(error.after_s * 1_000_000)
        self._outbox.again(message.id, why, now + max(asked_us, _wait_us(attempts + 1)))
        self._failures += 1
        self._rests_until_us = now + max(asked_us, _wait_us(self._failures))
        return False


def _printable(text: str) -> str:
    """What a receiver said, without what no database or log takes: NUL, half characters."""
    return "".join(character for character in text if character.isprintable())


def _wait_us(attempts: int) -> int:
    return backoff_us(attempts, random.random())  # noqa: S311 - nobody gains by guessing it


class Senders:
    """The threads of all channels, while the block runs, and what they leave behind."""

    def __init__(
        self,
        config: Config,
        outbox: Outbox,
        clock: Callable[[], int],
        make: Callable[[Channel], Sender] = sender_of,
    ) -> None:
        self._outbox, self._clock = outbox, clock
        self._expires_us = 0
        self._threads = [
            ChannelThread(channel, outbox, make(channel), clock)
            for channel in config.channels.values()
        ]

    def start(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def wake(self) -> None:
        """There is something new."""
        for thread in self._threads:
            thread.wake()

    def look(self) -> None:
        """Measure, and delete what is too old. Raises Retry, and what has ended a thread."""
        for thread in self._threads:
            if thread.defect is not None:
                raise RuntimeError(f"{thread.name} has ended") from thread.defect
        now = self._clock()
        _measure([thread.name for thread in self._threads], self._outbox.oldest_pending_us(), now)
        if now >= self._expires_us and not self._outbox.expire():
            self._expires_us = now + _EXPIRE_US

    def close(self) -> None:
        for thread in self._threads:
            thread.end()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(20)


def _measure(threads: Sequence[str], oldest: Mapping[str, int], now_us: int) -> None:
    for thread in threads:
        name = thread.removeprefix("notify-")
        age_us = now_us - oldest[name] if name in oldest else 0
        metrics.NOTIFICATION_AGE.labels(name).set(max(0, age_us) / 1e6)
