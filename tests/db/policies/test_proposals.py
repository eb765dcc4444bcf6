"""Drafts and proposals of policies, in both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from db.engine import reading
from db.policies.proposals import Proposals, State
from db.policies.tables import policy_proposals
from model.policy.backtest import Backtest, DecidedRows, backtest
from model.policy.compiled import CompiledPolicy
from model.policy.facts import Rows
from tests.db.policies.test_policies import CARD, OWN, POLICY
from tidegate.clock import now_us
from tidegate.errors import Retry
from tidegate.messages.policy import Policy


def came_into_force(version: str, _since_us: int) -> bool:
    """As topic promotions would say where POLICY alone did."""
    return version == POLICY.version


@pytest.fixture
def proposals(url: str) -> Iterator[Proposals]:
    made = Proposals(url, "p1", came_into_force)
    yield made
    made.close()


def test_a_draft_is_one_for_each_author(proposals: Proposals, url: str) -> None:
    assert proposals.draft("ana") is None
    first = proposals.write_draft("ana", POLICY, "v0")
    proposals.write_draft("bo", Policy(), "v1")
    again = proposals.write_draft("ana", Policy(POLICY.rules), "ignored")
    assert (again.id, again.instead_of, again.policy) == (first.id, "v0", Policy(POLICY.rules))
    assert proposals.draft("ana") == again
    other = Proposals(url, "p2", came_into_force)
    assert (other.draft("ana"), other.get(again.id)) == (None, None)
    other.discard("ana")
    other.close()
    proposals.discard("ana")
    assert proposals.draft("ana") is None
    assert proposals.draft("bo")


def test_a_backtest_is_of_one_version(proposals: Proposals) -> None:
    draft = proposals.write_draft("ana", POLICY, "v0")
    result = an_empty_backtest(POLICY)
    proposals.keep_backtest(draft.id, result)
    assert known(proposals, draft.id)["backtest"] == result
    proposals.write_draft("ana", Policy(), "v0")
    assert known(proposals, draft.id)["backtest"] is None


def test_a_proposal_waits_until_it_is_decided(proposals: Proposals) -> None:
    draft = proposals.write_draft("ana", POLICY, "v0")
    assert proposals.waiting() == []
    assert proposals.decide(draft, "proposed", "")
    assert [each.id for each in proposals.waiting()] == [draft.id]
    assert proposals.draft("ana") is None
    proposal = proposals.waiting()[0]
    assert proposals.decide(proposal, "applied", "bo")
    assert not proposals.decide(proposal, "rejected", "cy"), "bo was first"
    assert proposals.waiting() == []
    found = known(proposals, draft.id)
    assert (found["state"], found["decided_by"]) == ("applied", "bo")


@pytest.mark.parametrize("state", ["applied", "rejected"])
def test_what_a_decided_proposal_said_is_deleted(
    proposals: Proposals, url: str, state: State
) -> None:
    draft = proposals.write_draft("ana", POLICY, "v0")
    proposals.keep_backtest(draft.id, an_empty_backtest(POLICY))
    proposals.forget(draft)
    assert known(proposals, draft.id)["policy"] == POLICY, "it is not decided"
    assert proposals.decide(draft, state, "bo")
    proposals.forget(draft)
    with reading(url) as connection:
        [row] = connection.execute(select(policy_proposals)).all()
    assert (row.policy, row.backtest) == ("{}", None)
    assert (row.version, row.state, row.decided_by) == (POLICY.version, state, "bo")
    assert known(proposals, draft.id)["version"] == POLICY.version


@pytest.fixture
def ago(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let what is written now be so many hours old."""

    def set_clock(hours: float) -> None:
        past = int(hours * 3_600_000_000)
        monkeypatch.setattr("db.policies.proposals.now_us", lambda: now_us() - past)

    return set_clock


def said(url: str) -> dict[str, tuple[str, bool]]:
    """By author: the state, and whether what it said is there."""
    with reading(url) as connection:
        rows = connection.execute(select(policy_proposals)).all()
    return {row.author: (row.state, row.policy != "{}") for row in rows}


def leave(url: str, profile: str, author: str, state: State, policy: Policy = POLICY) -> None:
    """What a process has left that ended in this state of a proposal."""
    left = Proposals(url, profile, came_into_force)
    draft = left.write_draft(author, policy, "v0")
    assert left.decide(draft, state, "bo")
    left.close()


def test_what_a_process_left_that_ended_in_between_is_deleted_an_hour_later(
    proposals: Proposals, url: str, ago: Callable[[float], None]
) -> None:
    ago(1.1)
    leave(url, "p0", "dee", "rejected")
    leave(url, "p0", "eve", "applied")
    for name, hours in (("ana", 1.1), ("bo", 0.9), ("cy", 0)):
        ago(hours)
        draft = proposals.write_draft(name, POLICY, "v0")
        assert proposals.decide(draft, "applied", name)
    left = dict.fromkeys(("ana", "bo", "cy", "eve"), ("applied", True))
    assert said(url) == left | {"dee": ("rejected", True)}
    proposals.forget(draft)
    emptied = dict.fromkeys(("ana", "cy", "eve"), ("applied", False))
    assert said(url) == left | emptied | {"dee": ("rejected", False)}


@pytest.mark.parametrize("hours", [23 * 7, 25 * 7])
def test_what_was_written_for_another_version_of_the_profile_is_deleted_when_it_is_old(
    url: str, ago: Callable[[float], None], hours: int
) -> None:
    ago(hours)
    for profile, author in (("p0", "ana"), ("p1", "bo")):
        leave(url, profile, author, "proposed")
        leave(url, profile, author + "s", "draft")
    ago(0)
    Proposals(url, "p1", came_into_force).close()
    kept = {"bo": ("proposed", True), "bos": ("draft", True)}
    young = {"ana": ("proposed", True), "anas": ("draft", True)}
    assert said(url) == (kept if hours > 24 * 7 else kept | young)


def test_a_proposal_whose_process_ended_before_it_was_published_waits_again(
    url: str, ago: Callable[[float], None]
) -> None:
    ago(2)
    leave(url, "p1", "ana", "applied", Policy(POLICY.rules))
    leave(url, "p1", "bo", "applied", Policy(POLICY.rules))
    ago(0)
    opened = Proposals(url, "p1", came_into_force)
    assert said(url) == {"ana": ("proposed", True), "bo": ("draft", True)}
    [waiting] = opened.waiting()
    assert (waiting.policy, waiting.decided_by) == (Policy(POLICY.rules), "")
    opened.close()


def test_what_is_left_stays_while_nobody_can_say_what_came_into_force(
    url: str, ago: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    def away(_version: str, _since_us: int) -> bool:
        raise Retry("no broker")

    ago(2)
    leave(url, "p1", "ana", "applied")
    ago(0)
    Proposals(url, "p1", away).close()
    assert said(url) == {"ana": ("applied", True)}
    assert "stays for now: no broker" in caplog.text


def test_what_has_changed_since_it_was_read_is_not_decided(proposals: Proposals) -> None:
    draft = proposals.write_draft("ana", POLICY, "v0")
    changed = proposals.write_draft("ana", Policy(), "v0")
    assert not proposals.decide(draft, "proposed", "")
    assert proposals.draft("ana") == changed


def known(proposals: Proposals, name: str) -> dict[str, Any]:
    found = proposals.get(name)
    assert found
    return found._asdict()


def an_empty_backtest(policy: Policy) -> Backtest:
    made = past_of_nothing()
    return backtest(CompiledPolicy(policy, CARD), made, OWN)


def past_of_nothing() -> DecidedRows:
    codes, whole = np.zeros(0, np.uint8), np.zeros(0, np.int64)
    rows = Rows(
        np.zeros((0, len(CARD.values))),
        np.zeros((0, 2), np.uint64),
        np.zeros(0),
        np.zeros((0, 2)),
        codes,
        whole,
        [],
    )
    return DecidedRows(rows, whole, codes, np.zeros(0, np.int8), whole, np.zeros(0, np.str_))
