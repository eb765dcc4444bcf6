"""Transactions, and what is none, drawn by a seed: late ones, early ones, old files, poison."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
_ACCOUNTS, _MERCHANTS = 150, 40
_KINDS = ("grocery", "restaurant", "fuel", "travel", "electronics", "gambling", "cash")
_DEVICES = ("mobile", "desktop", "tablet", "pos", "atm")

Body = dict[str, Any]


class Traffic:
    """One stream of bodies. `prefix` begins every id, account and merchant of it."""

    def __init__(self, chance: random.Random, prefix: str) -> None:
        self._chance, self._prefix = chance, prefix
        self._count = 0

    def transaction(self, now_us: int) -> Body:
        """One of an account that has several, at a time drawn from all that are accepted."""
        return self._body(self._account(), now_us + self._offset())

    def too_early(self, now_us: int) -> Body:
        """Dated ahead by far more than any profile takes by default."""
        return self._body(self._account(), now_us + self._chance.randrange(20 * MINUTE, 5 * HOUR))

    def old_file(self, now_us: int) -> list[Body]:
        """Four payments of an account of its own within an hour, weeks ago, in order."""
        begin = now_us - self._chance.randrange(3 * DAY, 80 * DAY)
        account = f"{self._prefix}old{self._count}"
        return [
            self._body(account, begin + number * self._chance.randrange(SECOND, 14 * MINUTE))
            for number in range(4)
        ]

    def burst(self, account: str, now_us: int, good: int, bad: int) -> Iterator[tuple[bytes, bool]]:
        """Records of one account, most of them poison, and whether each is."""
        order = [True] * bad + [False] * good
        self._chance.shuffle(order)
        for poison in order:
            if poison:
                yield self.poison(), True
            else:
                yield json.dumps(self._body(account, now_us)).encode(), False

    def poison(self) -> bytes:
        """A record that no profile takes; no two are equal."""
        self._count += 1
        name = f"{self._prefix}bad{self._count}"
        good = json.dumps(self._body("someone", 0) | {"transaction_id": name}).encode()
        kinds = (
            b"poison " + name.encode(),
            good[: len(good) // 2],
            good + good,
            b"\xff\xfe" + good,
            json.dumps([name]).encode(),
            json.dumps({"transaction_id": name}).encode(),
            good.replace(b'"amount": ', b'"amount": -'),
            good.replace(b'"user_id": "someone"', b'"user_id": 7'),
            good.replace(b'"location_match"', b'"nobody_knows_this"'),
        )
        return self._chance.choice(kinds)

    def _account(self) -> str:
        number = min(self._chance.randrange(_ACCOUNTS), self._chance.randrange(_ACCOUNTS))
        return f"{self._prefix}user{number}"

    def _offset(self) -> int:
        """Most are now, some late by minutes to weeks, some ahead by what is still taken."""
        kind = self._chance.random()
        if kind < 0.8:
            return 0
        if kind < 0.9:
            return -self._chance.randrange(MINUTE, 3 * HOUR)
        if kind < 0.96:
            return -self._chance.randrange(3 * HOUR, 25 * DAY)
        return self._chance.randrange(SECOND, 4 * MINUTE)

    def _body(self, account: str, time_us: int) -> Body:
        self._count += 1
        chance = self._chance
        return {
            "transaction_id": f"{self._prefix}t{self._count}",
            "user_id": account,
            "amount": chance.choice((999, chance.randrange(1, 500), chance.randrange(1, 90_000)))
            / 100,
            "merchant": f"{self._prefix}shop{chance.randrange(_MERCHANTS)}",
            "timestamp": datetime.fromtimestamp(time_us / SECOND, UTC).isoformat(),
            "merchant_type": chance.choice(_KINDS),
            "device_type": chance.choice(_DEVICES),
            "location_match": chance.random() < 0.8,
        }
