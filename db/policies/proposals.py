"""Policies on their way: one draft for each author, and proposals that wait for somebody else."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Row, Update, select

from db.engine import open_database, retrying
from db.policies.tables import policy_proposals
from model.policy.backtest import Backtest
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry
from tidegate.messages.policy import Policy

State = Literal["draft", "proposed", "applied", "rejected"]
_KEPT = 50
_HOUR_US = 3_600_000_000
_DAYS = 7
"""Drafts and proposals for another version of the profile are kept so long."""
_LOG = logging.getLogger(__name__)
CameIntoForce = Callable[[str, int], bool]
"""Whether a version of a policy came into force at that time (us) or later. Raises Retry,
ConfigError.
"""


class Proposal(NamedTuple):
    """A policy that is not in force, and its backtest if one was made of exactly this version.

    Of one that was decided the policy is gone: what came into force is on topic promotions.
    """

    id: str
    author: str
    state: State
    instead_of: str
    version: str
    policy: Policy
    backtest: Backtest | None
    changed_us: int
    decided_by: str


class Proposals:
    """Of one profile (hash). Thread-safe; every method raises Retry while the database is away.

    Lists have values of people. So what was decided is emptied; that of an ended process, and what
    was written for another version of the profile, is seen to when this is opened and at each
    decision.
    """

    def __init__(self, url: str, profile: str, came_into_force: CameIntoForce) -> None:
        self._database, self._profile = open_database(url), profile
        self._came_into_force = came_into_force
        self._tidy()

    def draft(self, author: str) -> Proposal | None:
        """What an author is writing."""
        table = policy_proposals.c
        return self._first(table.author == author, table.state == "draft")

    def get(self, name: str) -> Proposal | None:
        """Any by its id."""
        return None if "\0" in name else self._first(policy_proposals.c.id == name)

    def waiting(self) -> list[Proposal]:
        """All that wait for somebody else, the newest first."""
        return [_read(row) for row in self._rows(policy_proposals.c.state == "proposed")]

    def write_draft(self, author: str, policy: Policy, instead_of: str) -> Proposal:
        """Replace an author's draft; its backtest is gone unless it says the same as before."""
        values = {
            "version": policy.version,
            "policy": msgspec.json.encode(policy).decode(),
            "changed_us": now_us(),
        }
        known, table = self.draft(author), policy_proposals.c
        name = known.id if known else ""
        still = (table.id == name) & (table.state == "draft")
        if not self._execute(policy_proposals.update().where(still).values(**values)):
            name = secrets.token_hex(8)
            values |= {"id": name, "profile": self._profile, "author": author, "state": "draft"}
            self._execute(policy_proposals.insert().values(instead_of=instead_of, **values))
        return self._known(name)

    def keep_backtest(self, name: str, result: Backtest) -> None:
        """Keep what came of a trial beside what was tried."""
        made = msgspec.json.encode(result).decode()
        this = policy_proposals.c.id == name
        self._execute(policy_proposals.update().where(this).values(backtest=made))

    def decide(self, proposal: Proposal, state: State, by: str) -> bool:
        """Move one to another state; False where it is not any more as it was read."""
        values = {"state": state, "decided_by": by, "changed_us": now_us()}
        return self._execute(_of(proposal).values(**values)) == 1

    def forget(self, proposal: Proposal) -> None:
        """Delete what one said, once it is decided."""
        table = policy_proposals.c
        decided = table.state.in_(("applied", "rejected"))
        self._empty((table.id == proposal.id) & decided)
        self._tidy()

    def _tidy(self) -> None:
        """See to what others have left, or leave it to the next time."""
        try:
            before = now_us()
            self._forget_other_profiles(before)
            self._forget_decided(before - _HOUR_US)
        except (Retry, ConfigError) as error:
            _LOG.warning("what ended processes have left of policies stays for now: %s", error)

    def _forget_other_profiles(self, now: int) -> None:
        table = policy_proposals.c
        old = (table.profile != self._profile) & (table.changed_us < now - _DAYS * 24 * _HOUR_US)
        waiting = table.state.in_(("draft", "proposed"))
        self._execute(policy_proposals.delete().where(old, waiting))

    def _forget_decided(self, before: int) -> None:
        """What was decided by a process that ended before it could empty it. Where it ended before
        the policy was published as well, nothing came of the decision, and it is to be made again.
        """
        table = policy_proposals.c
        left = (table.policy != "{}") & (table.changed_us < before)
        applied, mine = table.state == "applied", table.profile == self._profile
        self._empty(left & ((table.state == "rejected") | applied & ~mine))
        for row in self._rows(applied, left):
            proposal = _read(row)
            if self._came_into_force(proposal.version, proposal.changed_us):
                self._empty((table.id == proposal.id) & applied)
            else:
                alone = proposal.decided_by == proposal.author
                free = alone and self.draft(proposal.author) is None
                self.decide(proposal, "draft" if free else "proposed", "")

    def _empty(self, where: ColumnElement[bool]) -> None:
        nothing = {"policy": "{}", "backtest": None}
        self._execute(policy_proposals.update().where(where).values(**nothing))

    def discard(self, author: str) -> None:
        """Forget an author's draft."""
        table = policy_proposals.c
        mine = (table.profile == self._profile) & (table.author == author)
        self._execute(policy_proposals.delete().where(mine, table.state == "draft"))

    def close(self) -> None:
        self._database.close()

    def _known(self, name: str) -> Proposal:
        proposal = self.get(name)
        if proposal is None:
            raise KeyError(name)
        return proposal

    def _first(self, *where: Any) -> Proposal | None:  # noqa: ANN401 - conditions
        rows = self._rows(*where)
        return _read(rows[0]) if rows else None

    def _rows(self, *where: Any) -> Sequence[Row[Any]]:  # noqa: ANN401 - conditions
        query = select(policy_proposals).where(policy_proposals.c.profile == self._profile, *where)
        query = query.order_by(policy_proposals.c.changed_us.desc()).limit(_KEPT)
        with retrying(self._database), self._database.engine.connect() as connection:
            return connection.execute(query).all()

    def _execute(self, statement: Any) -> int:  # noqa: ANN401 - any that writes
        """How many rows it changed."""
        with retrying(self._database), self._database.engine.begin() as connection:
            return connection.execute(statement).rowcount


def _of(proposal: Proposal) -> Update:
    """Of its row, as long as nobody has changed or decided it."""
    table = policy_proposals.c
    same = (table.state == proposal.state) & (table.version == proposal.version)
    return policy_proposals.update().where(table.id == proposal.id, same)


def _read(row: Row[Any]) -> Proposal:
    policy = msgspec.json.decode(row.policy, type=Policy)
    result = msgspec.json.decode(row.backtest, type=Backtest) if row.backtest else None
    if result and result.version != row.version:
        result = None
    return Proposal(
        row.id,
        row.author,
        row.state,
        row.instead_of,
        row.version,
        policy,
        result,
        row.changed_us,
        row.decided_by,
    )
