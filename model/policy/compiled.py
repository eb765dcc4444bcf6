"""A policy made ready for a profile: from the models' decisions to decisions, a batch at a time.

In this order, which no policy changes:

1. approve: an entry of an allow list or a rule with the action approve, whatever else speaks;
2. block: an entry of a block list, a rule with the action block, or the model;
3. review: a rule with the action review, or the model;
4. approve.

So a rule may only make a decision stricter, unless it approves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.policy.conditions import Condition, condition, text_hashes
from model.policy.facts import Facts, PayloadReader, Rows
from model.policy.faults import Fault, PolicyFault, counts, doubles, thresholds
from model.policy.lexer import ConditionFault
from model.policy.lists import Membership
from model.policy.outcome import Outcome, packed_bits
from model.policy.program import Builder, Program
from model.policy.vocabulary import Vocabulary, Word
from model.policy.writing import is_member
from tidegate.messages.policy import Policy, Rule, RuleAction, Suppression, ValueList
from tidegate.messages.rule_hits import FIRST_LIST, SUPPRESSED
from tidegate.profile import Profile

_APPROVE, _REVIEW, _BLOCK = range(3)
Codes = NDArray[np.uint8]


class _Part(NamedTuple):
    """A rule or list that may hit: its bit, what it does, and what says so."""

    bit: int
    action: RuleAction
    name: str
    text: str


class CompiledPolicy:
    """Decides whole batches. `parts` by bit are what may hit, with their names; `conditions` those
    of all rules by their place, also of rules that are off.

    What was in force once has to decide for good, as rows are replayed by it: what is asked of a
    new policy alone stands in `model.policy.admission`.
    """

    def __init__(self, policy: Policy, profile: Profile) -> None:
        """Raises PolicyFault."""
        self.policy, self.version = policy, policy.version
        faults = [*counts(policy), *doubles(policy), *thresholds(policy, profile)]
        self._words = Vocabulary(profile)
        self._lists = _memberships(policy.lists, self._words, faults)
        self.conditions = _conditions(policy.rules, self._words, self._lists, faults)
        self._rules = [
            (bit, each) for bit, each in self.conditions.items() if policy.rules[bit].enabled
        ]
        self._entries = [
            (place, self._words.text(each.field), self._lists[each.name])
            for place, each in enumerate(policy.lists)
            if each.kind != "watch" and each.name in self._lists
        ]
        self._suppressed = _suppressions(policy, self._words, faults)
        _check_words(self._words, [word for _, word, _ in self._entries], faults)
        if faults:
            raise PolicyFault(faults)
        self._reader = PayloadReader(self._payload_words())
        self._program = _program(self._rules, self._entries)
        self.parts = _parts(policy)
        self._bits = {action: self._bits_of(action) for action in ("approve", "block", "review")}

    @property
    def does_nothing(self) -> bool:
        """Whether no rule, list or suppression can change a row."""
        return not (self._rules or self._entries or self._suppressed)

    def _payload_words(self) -> list[Word]:
        words = {word for _, each in self._rules for word in each.words}
        words |= {word for _, word, _ in self._entries} | {part.word for part in self._suppressed}
        return [word for word in words if word.source == "payload"]

    def decide(self, rows: Rows) -> Outcome:
        """Decide n transactions; the same alone and in any batch."""
        facts = Facts(rows, self._reader)
        bits, any_hit = self._program.run(facts)
        low, high = bits.view("<u8").T
        hit = np.flatnonzero(low | high) if any_hit else np.zeros(0, np.intp)
        decision, forced = rows.decision.copy(), np.zeros(len(rows.decision), np.uint8)
        if len(hit):
            decision[hit], forced[hit] = self._combine(decision[hit], bits[hit])
        self._suppress(rows, facts, decision, bits)
        return Outcome(decision, forced, bits, hit)

    def _combine(self, by_model: Codes, bits: Codes) -> tuple[Codes, Codes]:
        """Of rows that were hit."""
        allowed, blocked, reviewed = (
            (bits & self._bits[action]).any(axis=1) for action in ("approve", "block", "review")
        )
        forced = np.where(blocked, _BLOCK, np.where(reviewed, _REVIEW, _APPROVE)).astype(np.uint8)
        forced[allowed] = _APPROVE
        decision = np.where(allowed, _APPROVE, np.maximum(by_model, forced)).astype(np.uint8)
        return decision, forced

    def _bits_of(self, action: str, without: frozenset[int] = frozenset()) -> Codes:
        """The bits u1[16] of what has an action."""
        return packed_bits(
            bit for bit, part in self.parts.items() if part.action == action and bit not in without
        )

    def _suppress(self, rows: Rows, facts: Facts, decision: Codes, bits: Codes) -> None:
        """Set the bit of those of n rows of which no alert goes out."""
        reviewed = np.flatnonzero(decision == _REVIEW) if self._suppressed else ()
        if not len(reviewed):
            return
        all_quiet, ingest_us = np.zeros(len(reviewed), np.bool_), facts.ingest_us[reviewed]
        for each in self._suppressed:
            quiet = each.members.holds(facts.texts(each.word)[reviewed], ingest_us)
            if each.rules:
                others = self._bits_of("review", each.rules)
                quiet &= rows.decision[reviewed] == _APPROVE
                quiet &= ~(bits[reviewed] & others).any(axis=1)
            all_quiet |= quiet
        bits[reviewed[all_quiet]] |= packed_bits([SUPPRESSED])


class _Suppressed(NamedTuple):
    """Suppressions of one field and the same rules (bits; none: all)."""

    word: Word
    rules: frozenset[int]
    members: Membership


def _program(
    rules: Sequence[tuple[int, Condition]], entries: Sequence[tuple[int, Word, Membership]]
) -> Program:
    builder = Builder()
    for bit, each in rules:
        builder.hit(each.write(builder), bit)
    for place, word, members in entries:
        write = is_member(partial(Builder.text, word=word), members)
        builder.hit(write(builder), FIRST_LIST + place)
    return builder.program()


def names_of(policy: Policy) -> dict[int, str]:
    """What each bit of the hits stands for: a rule's name, or list:NAME."""
    return {bit: part.name for bit, part in _parts(policy).items()}


def _parts(policy: Policy) -> dict[int, _Part]:
    of_kind: Mapping[str, RuleAction] = {"block": "block", "allow": "approve"}
    parts = {
        bit: _Part(bit, each.action, each.name, each.reason or f"rule {each.name}: {each.when}")
        for bit, each in enumerate(policy.rules)
        if each.enabled
    }
    for place, each in enumerate(policy.lists):
        if each.kind in of_kind:
            bit, name = FIRST_LIST + place, f"list:{each.name}"
            text = f"{each.field} is on the {each.kind} list {each.name}"
            parts[bit] = _Part(bit, of_kind[each.kind], name, text)
    return parts


def _memberships(
    lists: Sequence[ValueList], words: Vocabulary, faults: list[Fault]
) -> dict[str, Membership]:
    ready = {}
    for place, each in enumerate(lists):
        try:
            words.text(each.field)
        except ConditionFault as fault:
            faults.append(Fault(f"lists[{place}].field", fault.message))
            continue
        hashes = text_hashes(words, each.field, [entry.value for entry in each.entries])
        until = [entry.until_us for entry in each.entries]
        ready[each.name] = Membership(each.field, hashes, until)
    return ready


def _conditions(
    rules: Sequence[Rule],
    words: Vocabulary,
    lists: Mapping[str, Membership],
    faults: list[Fault],
) -> dict[int, Condition]:
    """By the rules' places."""
    ready = {}
    for bit, each in enumerate(rules):
        try:
            ready[bit] = condition(each.when, words, lists)
        except ConditionFault as fault:
            faults.append(Fault(f"rules[{bit}].when", str(fault)))
    return ready


def _suppressions(policy: Policy, words: Vocabulary, faults: list[Fault]) -> list[_Suppressed]:
    bits = {each.name: bit for bit, each in enumerate(policy.rules)}
    groups: dict[tuple[Word, frozenset[int]], list[Suppression]] = {}
    for place, each in enumerate(policy.suppressions):
        unknown = [name for name in each.rules if name not in bits]
        try:
            word = words.text(each.field)
        except ConditionFault as fault:
            faults.append(Fault(f"suppressions[{place}].field", fault.message))
            continue
        if unknown:
            faults.append(Fault(f"suppressions[{place}].rules", f"no rule {', '.join(unknown)}"))
            continue
        _check_words(words, [word], faults)
        groups.setdefault((word, frozenset(bits[name] for name in each.rules)), []).append(each)
    return [
        _Suppressed(
            word,
            rules,
            Membership(
                word.name,
                text_hashes(words, word.name, [each.value for each in group]),
                [each.until_us for each in group],
            ),
        )
        for (word, rules), group in groups.items()
    ]


def _check_words(words: Vocabulary, read: Sequence[Word], faults: list[Fault]) -> None:
    """Payloads of erasable profiles are encrypted where rules are decided."""
    if words.profile.erasable:
        faults += [
            Fault("lists", f"{word.name} stands only in the payload, which is encrypted")
            for word in read
            if word.source == "payload"
        ]
