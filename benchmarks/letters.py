"""How long the page of the dead letters takes to fold a full topic, and what that keeps.

    python -m benchmarks.letters [--letters 200000]

Letters as the first step writes them, of some hundred shapes; no broker.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import tracemalloc
from collections.abc import Iterator

from tidegate.broker.records import Batch, TopicPartition
from tidegate.dead_letters.groups import Groups
from tidegate.pipeline import DLQ, RAW
from tidegate.profile import load_profile
from tidegate.stream.dead_letters import dead_letters
from tidegate.stream.stage import Reject

_BATCH = 2000
_PROFILE = load_profile("card")
_SHAPES = 100


def letters(count: int, chance: random.Random) -> Iterator[Batch]:
    """Batches of the dead-letter topic."""
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        size, nothing = len(numbers), [None] * len(numbers)
        values: list[bytes | None] = [b'{"transaction_id": "t-%d"}' % number for number in numbers]
        offsets, now_ms = list(numbers), time.time_ns() // 1_000_000
        raw = Batch(TopicPartition(RAW, 0), offsets, list(nothing), values, [0] * size, [])
        raw.headers = list(nothing)
        rejects = [
            Reject(i, "wrong_type", f"field {_word(chance)}: expected a number, got 'x{number}'")
            for i, number in enumerate(numbers)
        ]
        emit = dead_letters("preprocess", _PROFILE.hash, raw, rejects, now_ms * 1000)
        headers, times = list(emit.headers or []), [now_ms] * size
        yield Batch(TopicPartition(DLQ, 0), offsets, list(nothing), values, times, headers)


def _word(chance: random.Random) -> str:
    number = chance.randrange(_SHAPES)
    return "".join(chr(97 + int(digit)) for digit in str(number))


def main(arguments: list[str]) -> None:
    """Prints the times and the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=200_000)
    count = parser.parse_args(arguments).letters
    batches = list(letters(count, random.Random(7)))
    groups = Groups(_PROFILE)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for batch in batches:
        groups.absorb(batch)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    groups = Groups(_PROFILE)
    started = time.perf_counter()
    for batch in batches:
        groups.absorb(batch)
    folded = time.perf_counter()
    found = groups.now().groups(time.time_ns() // 1_000_000)
    grouped = time.perf_counter()
    print(f"{count:,} letters folded in {folded - started:.1f} s, {kept / count:.0f} bytes each")
    print(f"{len(found)} groups counted in {(grouped - folded) * 1000:.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1:])
