"""`make bench-peers`: Tidegate, Kafka Streams, Quix Streams, PyFlink and a tutorial's loop.

All get the same transactions on the same broker, keep the same windows and score by the same
LightGBM file; what they say of 2,000 transactions is compared. Prints a table and a line of JSON.
Exits with 1 where two of them disagree, or one does not finish.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.latency import RATE, row_times
from benchmarks.peers import java, python_peers
from benchmarks.peers.contender import Peer, Round, Traffic, measured, median
from benchmarks.peers.one_step import one_step_profile, step_and_score, write_settings
from benchmarks.peers.topics import paced
from benchmarks.pipeline import byte_copy, card_transactions, measure, prepare
from benchmarks.system import System
from tidegate.errors import EXIT_CONFIG, ConfigError
from tidegate.host.warm import warm
from tidegate.pipeline import CONSUMERS, RAW

COMPARED, TOLERANCE = 2_000, 1e-9
STEP_AND_SCORE, WHOLE = "Tidegate, step and score", "Tidegate, whole"
NO_STATE_BUT_ACCOUNTS = "second entity, database, reasons, lineage"
FAILED = Round(0.0, 0.0, 0.0, None, None)
Rounds = dict[str, list[Round]]


def main() -> int:
    """Run it all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, a tenth of it")
    quick = parser.parse_args().quick
    n, seconds, rounds = (40_000, 5, 1) if quick else (400_000, 20, 3)
    warm()
    with tempfile.TemporaryDirectory(prefix="tidegate-peers-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's user must get through
        try:
            peers = _peers(folder)
        except ConfigError as error:
            _say(str(error))
            return EXIT_CONFIG
        results, copied = _one_hop(folder, peers, (n, seconds, rounds))
        results[WHOLE] = [
            _whole(folder / f"whole-{number}", n, seconds) for number in range(rounds)
        ]
    medians = {name: median(runs) for name, runs in results.items()}
    leaves_out = {peer.name: peer.leaves_out for peer in peers} | {
        STEP_AND_SCORE: "database, second entity",
        WHOLE: "nothing",
    }
    differing = _differences(results)
    _table(medians, leaves_out)
    print(json.dumps(_document(medians, copied, differing)))
    return 1 if any(differing.values()) else 0


def _peers(folder: Path) -> list[Peer]:
    classes = folder / "classes"
    classes.mkdir()
    kafka_streams = java.command(java.compiled(classes), folder / "java-tmp")
    return [
        Peer("Kafka Streams, memory", kafka_streams, NO_STATE_BUT_ACCOUNTS, ["memory"]),
        Peer("Kafka Streams, RocksDB", kafka_streams, NO_STATE_BUT_ACCOUNTS, ["rocksdb"]),
        *python_peers.peers(NO_STATE_BUT_ACCOUNTS),
    ]


def _one_hop(folder: Path, peers: list[Peer], size: tuple[int, int, int]) -> tuple[Rounds, float]:
    """All who keep no database, round by round; and bytes copied, which also warms the broker."""
    n, seconds, rounds = size
    profile = folder / "profiles" / "card.yaml"  # its name chooses what simulates
    profile.parent.mkdir()
    profile.write_text(one_step_profile())
    system = System(folder / "one-hop", str(profile))
    system.start()
    results: Rounds = {}
    try:
        settings = system.settings()
        prepare(settings)
        written = folder / "peers.json"
        write_settings(settings, written)
        copied = byte_copy(system, n)
        _say(f"bytes copied: {copied:,.0f} tx/s")
        for number in range(rounds):
            traffic = _traffic(number, n, seconds)
            ids = [json.loads(value)["transaction_id"] for _, value in traffic.fast[:COMPARED]]
            done = step_and_score(system, settings, traffic, ids)
            results.setdefault(STEP_AND_SCORE, []).append(_told(STEP_AND_SCORE, done))
            for place, peer in enumerate(peers):
                own = folder / f"peer-{number}-{place}"
                try:
                    done = measured(peer, system.kafka.address, traffic, ids, written, own)
                except RuntimeError as error:  # the others go on; the exit code tells
                    _say(str(error))
                    done = FAILED
                results.setdefault(peer.name, []).append(_told(peer.name, done))
    finally:
        system.close()
    return results, copied


def _traffic(number: int, n: int, seconds: int) -> Traffic:
    """One round's, whose ids and accounts no other round has."""
    kinds = (("warm", n // 4), ("fast", n), ("slow", seconds * RATE))
    return Traffic(
        *(
            card_transactions(count, f"{kind}{number}-", 20 + place, f"{kind}{number}-")
            for place, (kind, count) in enumerate(kinds)
        )
    )


def _whole(folder: Path, n: int, seconds: int) -> Round:
    """The card profile with both keyed steps and the online model, into PostgreSQL."""
    system = System(folder)
    system.start()
    try:
        settings = system.settings()
        prepare(settings)
        rate = measure(system, settings, n)
        slow = card_transactions(seconds * RATE, "slow-", 22)
        due = paced(system.kafka.address, RAW, slow, RATE)
        ids = [json.loads(value)["transaction_id"] for _, value in slow]
        late = row_times(settings, ids)[:, -1] - due
        p50, p99 = np.percentile(late, [50, 99]) / 1000
        peak = sum(system.usage()[name].peak for name in CONSUMERS) / 1e6
    finally:
        system.close()
    used = sum(rate.cpu_us_per_tx.values())
    return _told(WHOLE, Round(rate.tx_s, used, peak, float(p50), float(p99)))


def _differences(results: Mapping[str, list[Round]]) -> dict[str, float | None]:
    """By name, the largest difference from Tidegate's scores where it is more than tolerated."""
    differing = {}
    for name, runs in results.items():
        if name == WHOLE:  # another profile, and another model
            continue
        pairs = zip(runs, results[STEP_AND_SCORE], strict=True)
        largest = max(_largest(one.scores, ours.scores) for one, ours in pairs)
        differing[name] = None if largest <= TOLERANCE else largest
    return differing


def _largest(scores: Mapping[str, float], ours: Mapping[str, float]) -> float:
    """The largest difference of two; infinite where an id is missing."""
    if len(ours) != COMPARED or scores.keys() != ours.keys():
        return float("inf")
    return max(abs(scores[name] - score) for name, score in ours.items())


def _told(name: str, done: Round) -> Round:
    _say(f"{name}: {done.tx_s:,.0f} tx/s, {done.cpu_us_per_tx:.1f} us")
    return done


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _table(medians: Mapping[str, Round], leaves_out: Mapping[str, str]) -> None:
    print("| | tx/s | CPU us/tx | peak MB | p50 ms | p99 ms | leaves out |")
    print("|---|---|---|---|---|---|---|")
    for name, one in medians.items():
        p50, p99 = (f"{ms:.0f}" if ms is not None else "-" for ms in (one.p50_ms, one.p99_ms))
        print(
            f"| {name} | {one.tx_s:,.0f} | {one.cpu_us_per_tx:.1f} | {one.peak_mb:,.0f} "
            f"| {p50} | {p99} | {leaves_out[name]} |"
        )


def _document(
    medians: Mapping[str, Round], copied: float, differing: Mapping[str, float | None]
) -> dict[str, object]:
    figures = {
        name: {
            "tx_s": round(one.tx_s),
            "cpu_us_per_tx": round(one.cpu_us_per_tx, 2),
            "peak_mb": round(one.peak_mb),
            "p50_ms": one.p50_ms and round(one.p50_ms, 1),
            "p99_ms": one.p99_ms and round(one.p99_ms, 1),
        }
        for name, one in medians.items()
    }
    ours = medians[STEP_AND_SCORE].tx_s
    return {
        "figures": figures,
        "byte_copy_tx_s": round(copied),
        "ratio_of_step_and_score": {
            name: round(ours / one.tx_s, 3) for name, one in medians.items() if one.tx_s
        },
        "scores_differ": {
            name: most if np.isfinite(most) else "missing"
            for name, most in differing.items()
            if most
        },
    }


if __name__ == "__main__":
    sys.exit(main())
