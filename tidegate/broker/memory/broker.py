"""A broker in memory, for tests of everything above it.

It has transactions, fencing, eager rebalances and injected faults.

It behaves as Kafka does in what the contract suite (tests/broker) asserts, and in no more.
Single-threaded and deterministic: nothing happens between two calls. Set `hook` to be called with
the name of every call and False before it, True after it; a hook that raises makes the call fail
undone, or done but unknown.
"""

from __future__ import annotations

from tidegate.broker.blocks import BlockConsumer
from tidegate.broker.memory.cluster import Cluster
from tidegate.broker.memory.consumer import MemoryConsumer
from tidegate.broker.memory.group import Group
from tidegate.broker.memory.producer import MemoryProducer, MemoryTransactions


class MemoryBroker(Cluster):
    """Implements `tidegate.broker.ports.Broker`."""

    def consumer(self, group: str | None, *, instance: str | None = None) -> BlockConsumer:
        member_of = self.groups.setdefault(group, Group()) if group else None
        return BlockConsumer(MemoryConsumer(self, member_of, instance))

    def watcher(self, group: str) -> BlockConsumer:
        member_of = self.groups.setdefault(group, Group())
        return BlockConsumer(MemoryConsumer(self, member_of, None, watches=True))

    def follower(self) -> BlockConsumer:
        return self.consumer(None)

    def transactional_producer(self, transactional_id: str) -> MemoryTransactions:
        with self.call("init_transactions"):
            return MemoryTransactions(self, transactional_id, self.init_producer(transactional_id))

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self)
