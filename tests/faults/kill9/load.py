"""Transactions and verdicts posted while everything is being killed; every post is repeated until
acknowledged.
"""

from __future__ import annotations

import random
import threading
import time

import msgspec

from producers.simulator.traffic import Traffic
from tests.faults.kill9.cluster import PROFILE
from tidegate.client import Client
from tidegate.messages.documents import Verdict


class Load(threading.Thread):
    """Posts batches until `enough` is set. `acknowledged`: the bodies by id."""

    def __init__(self, url: str, rate: float, seed: int) -> None:
        super().__init__(name="load")
        self.enough = threading.Event()
        self.acknowledged: dict[str, bytes] = {}
        self.conflicts: set[str] = set()
        self.verdicts: set[str] = set()
        self.error: BaseException | None = None
        self._client, self._chance = Client(url, patience=90.0), random.Random(seed)
        self._traffic = Traffic(PROFILE, rate, seed, time.time_ns() // 1000)

    def run(self) -> None:
        try:
            while not self.enough.wait(0.1):
                self._post()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._client.close()

    def _post(self) -> None:
        events = self._traffic.until(time.time_ns() // 1000)
        fresh = {key: line for _, key, line, _ in events}
        lines = list(fresh.values())
        if self.acknowledged:
            known = self._chance.sample(sorted(self.acknowledged), min(3, len(self.acknowledged)))
            lines += [self.acknowledged[key] for key in known]  # the same again
        for at in range(0, len(lines), 500):
            status, answer = self._client.post_lines("/v1/transactions/batch", lines[at : at + 500])
            assert status == 202, answer
            assert "rejected" not in answer, answer
        self.acknowledged |= fresh
        self._judge([key for _, key, _, fraud in events if fraud or self._chance.random() < 0.02])

    def _judge(self, ids: list[str]) -> None:
        if ids:
            verdicts = [Verdict(key, "fraud", f"label-{key}") for key in ids]
            status, answer = self._client.post("/v1/feedback", msgspec.json.encode(verdicts))
            assert status == 202, answer
            self.verdicts |= {verdict.label_id for verdict in verdicts}
