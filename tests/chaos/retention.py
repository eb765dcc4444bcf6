"""Retention overrun: records are deleted before their stage has read them.

The stage stands still while the load goes on. What was deleted is on the tape, and what the product
says is lost is accepted as an operator would, by `tidegate skip --accept-loss`.
"""

from __future__ import annotations

import json
import signal
import subprocess

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from tests.chaos.evidence import RAW, Loss, Tape, committed, held
from tests.faults.kill9.cluster import Cluster

STAGE, GROUP = "preprocess", "tidegate.preprocess"
_PATIENCE = 20.0


class Retention:
    """`deleted`: what no stage has read; `accepted`: what the product said of it."""

    def __init__(self, cluster: Cluster, tape: Tape) -> None:
        self._cluster, self._tape = cluster, tape
        self.deleted: list[Loss] = []
        self.accepted: list[Loss] = []
        self.stopped = False

    def stop(self) -> None:
        """End the stage in good order, so that it leaves snapshots at its positions."""
        self.stopped = True
        names = [one for one in self._cluster.processes if one.partition(".")[0] == STAGE]
        processes = [self._cluster.processes.pop(name) for name in names]
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def overrun(self) -> None:
        """Delete half of what each partition has unread, and let the stage begin again.

        Not where there is no snapshot to begin from: without one, and without the log's beginning,
        nobody can know the state. Raises KafkaException while the broker is away.
        """
        self._tape.read(RAW)
        sources = [(RAW, number) for number in self._tape.partitions[RAW]]
        places = committed(self._cluster.kafka.address, GROUP, sources)
        losses = [
            Loss(number, offset, offset + (end - offset + 1) // 2)
            for (topic, number), (offset, _) in places.items()
            if (end := self._tape.ends.get((topic, number), 0)) > offset
            and self._has_snapshot(number, offset)
        ]
        if losses:
            admin = AdminClient({"bootstrap.servers": self._cluster.kafka.address, "log_level": 0})
            asked = [ck.TopicPartition(RAW, loss.partition, loss.until) for loss in losses]
            for done in admin.delete_records(asked).values():
                done.result(_PATIENCE)
        self.deleted = gone_on_since(self.deleted, losses) + losses
        self.accepted = gone_on_since(self.accepted, losses)
        self.stopped = False
        self._cluster.launch(STAGE)

    def _has_snapshot(self, partition: int, offset: int) -> bool:
        folder = self._cluster.home / "snapshots" / STAGE
        return any(folder.glob(f"*/{partition}/{offset:020d}.snap"))

    @property
    def open(self) -> list[Loss]:
        """What was deleted, and not accepted yet."""
        accepted = {(one.partition, one.until) for one in self.accepted}
        return [one for one in self.deleted if (one.partition, one.until) not in accepted]

    def accept(self) -> list[str]:
        """Accept what the stage holds for; a line each."""
        waiting = held(self._cluster.kafka.address, STAGE) if self.open else set()
        return [self._accept(loss) for loss in self.open if loss.partition in waiting]

    def _accept(self, loss: Loss) -> str:
        done = self._cluster.run(
            "skip", STAGE, "--partition", str(loss.partition), "--accept-loss", "--json"
        )
        if done.returncode == 0:
            said = json.loads(done.stdout)
            self.accepted.append(
                Loss(loss.partition, said["goes_on"] - said["lost"], said["goes_on"])
            )
        return f"accept {RAW}/{loss.partition} {loss.offset} to {loss.until}: {done.returncode}"


def gone_on_since(before: list[Loss], losses: list[Loss]) -> list[Loss]:
    """Those before that are not part of later ones: a stage that has not gone on since loses from
    the same offset again, but more, and what was accepted of it has to be accepted anew.
    """
    begins = {(loss.partition, loss.offset) for loss in losses}
    return [loss for loss in before if (loss.partition, loss.offset) not in begins]
