"""A consumer group in memory: eager rebalances, and positions that wait for their transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import Aborted, Fenced, Retry

Callback = Callable[[list[TopicPartition]], None]


@dataclass(slots=True)
class _Member:
    """`held` is None between a revocation and the next assignment."""

    instance: str | None
    topic: list[TopicPartition]
    on_assign: Callback
    on_revoke: Callback
    generation: int = -1
    held: list[TopicPartition] | None = None
    fenced: bool = False


class Group:
    """Members give up everything when somebody joins or leaves.

    The new assignment comes when all have polled.
    """

    def __init__(self) -> None:
        self._known: dict[object, _Member] = {}
        self._members: list[object] = []
        self._joined: set[object] = set()
        self._generation = 0
        self._preparing = False
        self.positions: dict[TopicPartition, Position] = {}
        self._promised: dict[object, list[TopicPartition]] = {}

    def subscribe(
        self,
        consumer: object,
        instance: str | None,
        topic: list[TopicPartition],
        on_assign: Callback,
        on_revoke: Callback,
    ) -> None:
        """Make known; the consumer joins at its next poll."""
        self._known[consumer] = _Member(instance, topic, on_assign, on_revoke)

    def poll(self, consumer: object) -> None:
        """Join, give up, or take what is assigned, whichever is due."""
        member = self._known.get(consumer)
        if member is None:
            return
        if consumer not in self._members:
            self._admit(consumer, member)
        if self._preparing:
            self._join(consumer, member)
        if not self._preparing and member.generation != self._generation:
            member.generation = self._generation
            member.held = self._share(consumer, member)
            member.on_assign(member.held)

    def _admit(self, consumer: object, member: _Member) -> None:
        """A static member takes the place of the one that had its name."""
        if member.fenced:
            raise Fenced(f"another process is {member.instance} now")
        namesakes = [
            namesake
            for namesake in self._members
            if member.instance and self._known[namesake].instance == member.instance
        ]
        for namesake in namesakes:
            self._members.remove(namesake)
            self._known[namesake].fenced = True
        self._members.append(consumer)
        self._prepare()

    def _join(self, consumer: object, member: _Member) -> None:
        self._revoke(member)
        self._joined.add(consumer)
        if self._joined.issuperset(self._members):
            self._generation += 1
            self._preparing = False

    def _prepare(self) -> None:
        self._preparing = bool(self._members)
        self._joined.clear()

    @staticmethod
    def _revoke(member: _Member) -> None:
        held, member.held = member.held, None
        if held is not None:
            member.on_revoke(held)

    def _share(self, consumer: object, member: _Member) -> list[TopicPartition]:
        """Contiguous ranges, as Kafka's range assignor cuts them."""
        index = self._members.index(consumer)
        size, remainder = divmod(len(member.topic), len(self._members))
        start = index * size + min(index, remainder)
        return member.topic[start : start + size + (index < remainder)]

    def leave(self, consumer: object) -> None:
        """A member goes in good order."""
        member = self._known.pop(consumer, None)
        if member is not None:
            self._revoke(member)
        if consumer in self._members:
            self._members.remove(consumer)
            self._prepare()

    def expire(self) -> None:
        """All sessions run out; a member that still lives joins again at its next poll."""
        self._members.clear()
        self._joined.clear()
        self._preparing = False

    def promise(
        self, consumer: object, transaction: object, positions: Mapping[TopicPartition, Position]
    ) -> None:
        """Positions that count when the transaction commits.

        Raises Aborted for who is no current member.
        """
        member = self._known.get(consumer)
        if member is None or consumer not in self._members or member.generation != self._generation:
            raise Aborted("the group has gone on without this member")
        self._promised[transaction] = [*self._promised.get(transaction, []), *positions]

    def settle(self, transaction: object, positions: Mapping[TopicPartition, Position]) -> None:
        """The transaction ended: take over the positions of a commit, none of an abort."""
        self._promised.pop(transaction, None)
        self.positions.update(positions)

    def committed(
        self, partitions: Sequence[TopicPartition], *, stable: bool
    ) -> dict[TopicPartition, Position]:
        """`stable`: raises Retry while a transaction holds one of them."""
        if stable and any(
            source in promised for promised in self._promised.values() for source in partitions
        ):
            raise Retry("positions are unstable: a transaction holds them")
        return {source: self.positions[source] for source in partitions if source in self.positions}
