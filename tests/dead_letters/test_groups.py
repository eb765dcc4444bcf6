"""Dead letters in groups: what is counted is what a plain count gives."""

from __future__ import annotations

import time
import tracemalloc
from collections import Counter, defaultdict
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.broker.records import Batch, Headers, TopicPartition
from tidegate.dead_letters.groups import ACTIONS, HOURS, Address, Groups
from tidegate.dead_letters.plan import Mark
from tidegate.dead_letters.shape import LONGEST, Kind, shape
from tidegate.pipeline import DLQ, REDRIVEN
from tidegate.profile import load_profile

PROFILE = load_profile("card")
HOUR = 3_600_000
NOW = 500_000 * HOUR + 17


@pytest.mark.parametrize(
    ("details", "wanted"),
    [
        (
            ["amount: expected a number, got 'abc'", "amount: expected a number, got 'x \"y'"],
            "amount: expected a number, got <text>",
        ),
        (
            ["id tx-91af is 12 bytes, at most 1,024", "id 00d3-f is 7 bytes, at most 2.5e9"],
            "id <id> is <number> bytes, at most <number>",
        ),
        (
            ["at 2026-01-31T12:00:00.5Z, its account's", "at 2025-11-30, its account's"],
            "at <time>, its account's",
        ),
        (["got 'cut in the mid", "got 'cut"], "got <text>"),
        (["", "  "], ""),
    ],
)
def test_what_differs_from_record_to_record_is_left_out(details: list[str], wanted: str) -> None:
    assert {shape(detail) for detail in details} == {wanted}


def test_a_long_sentence_is_cut_in_no_time() -> None:
    started = time.process_time()
    assert len(shape("a-" * 500 + "x.") + shape("'" * 999) + shape("@:" * 500)) <= 3 * LONGEST
    assert time.process_time() - started < 0.1


class Letter(NamedTuple):
    """A dead letter as a test writes it."""

    identity: int
    stage: str
    detail: str
    age_hours: int


def headers(letter: Letter) -> Headers:
    said = {
        "stage": letter.stage,
        "reason": "bad",
        "detail": letter.detail,
        "key": f"{letter.stage}/{letter.identity}",
    }
    return [(f"tidegate-{name}", value.encode()) for name, value in said.items()]


def batch(letters: list[Letter], start: int = 0) -> Batch:
    count = len(letters)
    return Batch(
        TopicPartition(DLQ, 1),
        list(range(start, start + count)),
        [None] * count,
        [b"{}"] * count,
        [NOW - letter.age_hours * HOUR for letter in letters],
        [headers(letter) for letter in letters],
    )


def absorb(groups: Groups, letters: list[Letter], start: int = 0) -> None:
    if letters:  # no broker gives a batch of nothing
        groups.absorb(batch(letters, start))


def marks(done: list[tuple[str, str]]) -> Batch:
    values: list[bytes | None] = [
        msgspec.json.encode(Mark(identity, action, "t", 1))  # type: ignore[arg-type]
        for identity, action in done
    ]
    count = len(values)
    source, nothing = TopicPartition(REDRIVEN, 0), [None] * count
    return Batch(source, list(range(count)), list(nothing), values, [0] * count, list(nothing))


LETTERS = st.lists(
    st.builds(
        Letter,
        st.integers(0, 12),
        st.sampled_from(["preprocess", "label"]),
        st.sampled_from(["got 'a'", "got 'b'", "12 bytes", "none"]),
        st.integers(0, 30),
    ),
    max_size=60,
)
DONE = st.lists(
    st.tuples(
        st.builds("{}/{}".format, st.sampled_from(["preprocess", "label"]), st.integers(0, 12)),
        st.sampled_from(ACTIONS[1:]),
    ),
    min_size=1,
    max_size=20,
)


@given(LETTERS, DONE, st.integers(0, 60), st.integers(0, 60))
def test_the_fold_is_a_plain_count(
    letters: list[Letter], done: list[tuple[str, str]], cut: int, again: int
) -> None:
    groups = Groups(PROFILE)
    absorb(groups, letters[:cut])
    groups.absorb_marks(marks(done))
    groups.now()
    absorb(groups, letters[:again])  # who reads the topic begins again
    absorb(groups, letters[again:], again)
    groups.absorb_marks(marks(done))

    first: dict[str, tuple[int, Letter]] = {}
    for offset, letter in enumerate(letters):
        first.setdefault(f"{letter.stage}/{letter.identity}", (offset, letter))
    actions, plain = dict(done), defaultdict(list)
    for identity, (offset, letter) in first.items():
        kind = Kind(letter.stage, "bad", shape(letter.detail))
        plain[kind].append((offset, letter, actions.get(identity, "waiting")))

    found = groups.now().groups(NOW)
    assert {group.kind for group in found} == plain.keys()
    for group in found:
        mine = plain[group.kind]
        times = [NOW - letter.age_hours * HOUR for _, letter, _ in mine]
        assert {name: n for name, n in group.counts.items() if n} == Counter(a for *_, a in mine)
        assert (group.count, group.first_ms, group.last_ms) == (len(mine), min(times), max(times))
        ages = Counter(letter.age_hours for _, letter, _ in mine)
        assert group.hours == [ages[HOURS - 1 - hour] for hour in range(HOURS)]
        ordered = sorted(zip(times, mine, strict=True), key=lambda pair: (-pair[0], -pair[1][0]))
        wanted = [Address(1, offset, time, done) for time, (offset, _, done) in ordered]
        assert groups.now().addresses(group.signature, 0, 100) == wanted
        assert groups.now().addresses(group.signature, 1, 2) == wanted[1:3]
        waiting = [address for address in wanted if address.action == "waiting"]
        assert groups.now().addresses(group.signature, 0, 100, "waiting") == waiting


def test_memory_is_bounded() -> None:
    """Hostile letters, no two of one shape: a bounded number of groups, and of letters."""
    groups = Groups(PROFILE, most=4000, most_groups=50)
    peak = []
    tracemalloc.start()
    for start in range(0, 20_000, 2000):
        words = ["".join(chr(97 + int(d)) for d in str(start + i)) for i in range(2000)]
        letters = [Letter(start + i, "label", word, 0) for i, word in enumerate(words)]
        groups.absorb(batch(letters, start))
        peak.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    found = groups.now().groups(NOW)
    assert sum(group.count for group in found) in range(3000, 4001)
    assert peak[-1] < peak[4] + 50_000
    assert [address.offset for address in groups.now().addresses(found[0].signature, 0, 1)] == [
        19_999
    ]
    assert len(groups._kinds) <= 2 * 50 + 1


def test_what_is_masked_is_not_in_a_shape(masked_letters: Groups) -> None:
    [group] = masked_letters.now().groups(NOW)
    assert "Jane" not in group.detail + group.kind.shape


def test_nothing_yet() -> None:
    assert Groups(PROFILE).now().groups(NOW) == []
    assert Groups(PROFILE).now().addresses("0" * 12, 0, 10) == []


@pytest.fixture
def masked_letters() -> Groups:
    profile = load_profile("card")
    profile.masks._personal = frozenset({"merchant"})
    groups = Groups(profile)
    bad = batch([Letter(1, "preprocess", "merchant Jane Doe is unknown", 0)])
    bad.values = [b'{"merchant": "Jane Doe"}']
    groups.absorb(bad)
    return groups
