"""The stage that turns alerts into events; `db.notify.sink` writes down what becomes of them."""

from __future__ import annotations

from consumers.notify.alert_events import alert_event
from tidegate.broker.records import Batch
from tidegate.errors import Rejected
from tidegate.messages.alerts import read_alert
from tidegate.notify.events import Event
from tidegate.pipeline import ALERTS
from tidegate.profile import Profile
from tidegate.stream.dead_letters import KEY
from tidegate.stream.stage import Output, Reject, State, StatelessStage

EARLIER = "before_start"
"""What alerts are counted as that are older than the notifications."""


class NotifyStage(StatelessStage):
    """`since_us`: alerts that Kafka recorded before are passed over."""

    name = "notify"
    input = ALERTS

    def __init__(self, profile: Profile, since_us: int) -> None:
        self._profile, self._since_ms = profile, since_us // 1000

    def process(self, _state: State, batch: Batch) -> Output:
        """`rows` are the events, a list."""
        events: list[Event] = []
        rejects: list[Reject] = []
        earlier = 0
        for index, value in enumerate(batch.values):
            if batch.timestamps[index] < self._since_ms:
                earlier += 1
                continue
            try:
                alert = read_alert(value)
            except Rejected as error:
                rejects.append(Reject(index, error.reason, error.detail))
                continue
            events.append(alert_event(self._profile, alert, _key(batch, index)))
        passed = {EARLIER: earlier} if earlier else {}
        return Output(rejects=rejects, rows=events, passed=passed)


def _key(batch: Batch, index: int) -> str:
    """What two alerts about one record share; without it, where the alert stands."""
    known = dict(batch.headers[index] or []).get(KEY)
    if known:
        return known.decode("utf-8", "replace")
    topic, partition = batch.source
    return f"alert/{topic}/{partition}/{batch.offsets[index]}"
