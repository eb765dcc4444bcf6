"""What the page of rules works with: the policy in force, people's drafts, and proposals."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from dashboard.context import Context
from db.audit import Act
from db.policies.hits import Hits, hits_since
from db.policies.past import past_rows
from db.policies.proposals import Proposal, Proposals, State
from model.bundles.own_thresholds import thresholds_of
from model.bundles.past_policies import Past
from model.bundles.policies import in_force, publish_policy
from model.policy.admission import admitted
from model.policy.backtest import backtest
from model.policy.compiled import names_of
from model.policy.edit import difference
from model.policy.personal import masked, stored
from tidegate.broker.ports import Broker
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry, TidegateError
from tidegate.messages.policy import AppliedPolicy, Policy

DAYS = 7
"""A backtest is of so many days."""
_DAY_US = 86_400_000_000
_PATIENCE = 3.0
"""Seconds until the page itself has heard of what it has published."""
_VERSIONS = 50


class Refused(Exception):
    """What is asked is not done, and why, in words for the page."""


class Version(NamedTuple):
    """A policy that was in force, and the lines in which it differs from the one before."""

    applied: Past
    lines: list[str]


class Desk:
    """For all requests of the application."""

    def __init__(self, context: Context, broker: Broker) -> None:
        self._context, self._broker = context, broker
        self.profile = self._profile = context.profile
        self._settings = context.settings
        self._known = context.policies
        self.proposals = Proposals(
            context.settings.db_url, context.profile.hash.decode(), self._known.applied_since
        )

    @property
    def four_eyes(self) -> bool:
        """Whether a policy needs a second person."""
        return self._settings.four_eyes

    def applied(self) -> AppliedPolicy | None:
        """The newest policy that was applied."""
        return self._context.registry.policy()

    def now(self) -> Policy:
        """The policy in force."""
        return in_force(self._profile, self.applied())

    def draft(self, who: str) -> Proposal | None:
        """What somebody is writing."""
        return self.proposals.draft(who)

    def working(self, who: str) -> Policy:
        """What somebody's changes begin with."""
        draft = self.draft(who)
        return draft.policy if draft else self.now()

    def save(self, who: str, policy: Policy) -> None:
        """Keep a draft; one that says what is in force anyway is none. Raises PolicyFault."""
        policy = stored(policy, self._profile)  # what is in force may hold plain values yet
        admitted(policy, self._profile)
        now = self.now()
        if policy.version == now.version:
            self.proposals.discard(who)
        else:
            self.proposals.write_draft(who, policy, now.version)

    def try_out(self, proposal: Proposal) -> None:
        """Make the backtest of a draft or proposal, and keep it beside it."""
        since = now_us() - DAYS * _DAY_US
        past = past_rows(self._settings.db_read_url, self._profile, since)
        own = thresholds_of(self._settings.bundles_dir, set(past.bundles.tolist()))
        result = backtest(admitted(proposal.policy, self._profile), past, own)
        self.proposals.keep_backtest(proposal.id, result)

    def apply(self, proposal: Proposal, version: str, who: str) -> str:
        """Bring a draft or proposal into force, or propose it; what came of it, in one word:
        applied or proposed. Raises Refused.
        """
        if proposal.state not in ("draft", "proposed"):
            raise Refused("decided")
        if proposal.version != version or proposal.backtest is None:
            raise Refused("backtest")
        if proposal.instead_of != self.now().version:
            raise Refused("overtaken")
        if self.four_eyes and not who:
            raise Refused("nameless")
        told = {"instead_of": proposal.instead_of, "author": proposal.author}
        if self.four_eyes and proposal.state == "draft":
            self._context.audit.add(Act(who, "policy proposed", version, told))
            self._decide(proposal, "proposed", "")
            return "proposed"
        if self.four_eyes and proposal.author == who:
            raise Refused("own")
        self._context.audit.add(Act(who, "policy applied", version, told))
        self._decide(proposal, "applied", who)
        try:
            self._publish(proposal, who)
        except TidegateError:
            taken = proposal._replace(state="applied")
            self.proposals.decide(taken, proposal.state, proposal.decided_by)
            raise
        self.proposals.forget(proposal)
        return "applied"

    def _decide(self, proposal: Proposal, state: State, by: str) -> None:
        """Before anything is done: of two people who decide at once one comes too late."""
        if not self.proposals.decide(proposal, state, by):
            raise Refused("decided")

    def _publish(self, proposal: Proposal, who: str) -> None:
        wrote = proposal.author if proposal.author != who else ""
        publish_policy(
            self._broker,
            self._profile,
            proposal.policy,
            by=who,
            proposed_by=wrote,
            instead_of=proposal.instead_of,
        )
        deadline, pause = time.monotonic() + _PATIENCE, threading.Event()
        while self.now().version != proposal.version and time.monotonic() < deadline:
            pause.wait(0.02)

    def reject(self, proposal: Proposal, who: str) -> None:
        """Say no to a proposal, or take one's own back."""
        if proposal.state != "proposed":
            raise Refused("decided")
        self._context.audit.add(Act(who, "policy rejected", proposal.version))
        self._decide(proposal, "rejected", who)
        self.proposals.forget(proposal)

    def hits(self) -> Hits:
        """Rows that each rule and list hit in the last day."""
        return hits_since(
            self._settings.db_read_url,
            now_us() - _DAY_US,
            self._names,
        )

    def _names(self, version: str) -> dict[int, str]:
        now = self.now()
        try:
            return names_of(now) if version == now.version else self._known.names(version)
        except Retry as error:
            raise ConfigError(str(error)) from error

    def history(self) -> list[Version]:
        """The newest versions, newest first, each against the one before."""
        past = self._known.history()[-_VERSIONS - 1 :]
        policies = [self._known.get(each.version) for each in past]
        if len(past) <= _VERSIONS:
            policies.insert(0, Policy())
        else:
            del past[0]
        versions = [
            Version(applied, self.lines(before, after))
            for applied, before, after in zip(past, policies, policies[1:], strict=False)
        ]
        return versions[::-1]

    def of_version(self, version: str) -> Policy:
        """One that was in force. Raises ConfigError."""
        now = self.now()
        try:
            return now if version == now.version else self._known.get(version)
        except Retry as error:
            raise ConfigError(str(error)) from error

    def lines(self, before: Policy, after: Policy) -> list[str]:
        """In what they differ, as people may see it."""
        return difference(masked(before, self._profile), masked(after, self._profile))

    def close(self) -> None:
        self.proposals.close()
