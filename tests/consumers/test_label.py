from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.label import LabelStage
from consumers.quota import share
from db.decode import ScoredRow
from tidegate.broker.records import Batch, Headers, TopicPartition
from tidegate.errors import Retry
from tidegate.messages.documents import (
    Label,
    Verdict,
    VerdictOutcome,
    decode_label,
    decode_outcome,
    encode,
)
from tidegate.pipeline import FEEDBACK, LABELS, OUTCOMES
from tidegate.profile import Profile, load_profile
from tidegate.profile.spec import VerdictSources
from tidegate.stream.dead_letters import RECORDED
from tidegate.stream.stage import Output

PROFILE = load_profile("card")
SECOND_US = 1_000_000


def row(name: str, profile: str = "") -> ScoredRow:
    return ScoredRow(
        name,
        profile or PROFILE.hash.decode(),
        5,
        1234,
        [1, 2],
        [1.5, None],
        0.7,
        "review",
        ["u", "m"],
    )


def lookup(ids: list[str]) -> Mapping[str, ScoredRow]:
    return {name: row(name) for name in ids if name.startswith("known")}


def batch(
    *values: bytes | None, headers: Headers | None = None, now_us: int = 100 * SECOND_US
) -> Batch:
    n = len(values)
    return Batch(
        TopicPartition(FEEDBACK, 0),
        list(range(n)),
        [b"key"] * n,
        list(values),
        [7] * n,
        [headers] * n,
        log_us=now_us,
    )


def said(name: str, verdict: str = "fraud", **more: object) -> bytes:
    return encode({"transaction_id": name, "verdict": verdict, **more})


def process(given: Batch) -> Output:
    return done(LabelStage(PROFILE, lookup), given)


def done(stage: LabelStage, given: Batch) -> Output:
    return stage.process(stage.new_state(0, 1), given)


def labels(output: Output) -> list[Label]:
    return [
        decode_label(value or b"")
        for emit in output.emits
        if emit.topic == LABELS
        for value in emit.values
    ]


def test_a_verdict_and_its_row_become_a_label() -> None:
    output = process(
        batch(said("known1", label_id="L", source="bank", given_us=9), said("known2", "legitimate"))
    )
    first, second = labels(output)
    assert first == Label(
        "known1",
        "L",
        True,
        "bank",
        PROFILE.hash.decode(),
        5,
        1234,
        9,
        [1, 2],
        [1.5, None],
        0.7,
        "review",
        ["u", "m"],
    )
    assert (second.fraud, second.given_us, len(second.label_id)) == (False, 7000, 24)
    assert output.emits[0].keys == [b"known1", b"known2"]
    assert output.pause == 0.0


def test_label_ids_follow_from_what_is_said() -> None:
    values = [
        said("known"),
        said("known", given_us=5),
        said("known", "legitimate"),
        said("known", source="bank"),
    ]
    ids = [label.label_id for label in labels(process(batch(*values)))]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_verdict_without_a_row_waits_until_it_is_too_old() -> None:
    early = process(batch(said("late"), now_us=29 * SECOND_US))
    assert (early.waits, early.emits, early.rejects) == ([0], [], [])
    last = process(batch(said("late"), now_us=31 * SECOND_US))
    assert (last.waits, labels(last)) == ([], [])
    assert [reject.reason for reject in last.rejects] == ["unknown_transaction"]


def test_it_waits_on_while_its_row_may_still_come() -> None:
    asked: list[int] = []

    def drained(time_us: int, now_us: int) -> bool:
        assert now_us == 4000 * SECOND_US
        asked.append(time_us)
        return len(asked) > 1

    stage = LabelStage(PROFILE, lookup, drained=drained)
    value = batch(said("late"), now_us=4000 * SECOND_US)
    assert done(stage, value).waits == [0]
    assert [reject.index for reject in done(stage, value).rejects] == [0]
    assert asked == [30 * SECOND_US + 7000] * 2


def test_a_row_that_came_meanwhile_is_found_before_the_verdict_is_given_up() -> None:
    rows: dict[str, ScoredRow] = {}

    def drained(_time_us: int, _now_us: int) -> bool:
        rows["late"] = row("late")
        return True

    stage = LabelStage(PROFILE, lambda _ids: dict(rows), drained=drained)
    output = done(stage, batch(said("late")))
    assert [label.transaction_id for label in labels(output)] == ["late"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"{", "invalid_json"),
        (b'{"transaction_id":"\xff"', "invalid_utf8"),
        (b'{"note":' + b"[" * 100_000, "wrong_type"),
        (b"[]", "wrong_type"),
        (b"[" * 100_000, "wrong_type"),
        (said("known", "maybe"), "wrong_type"),
        (said("known", more=1), "wrong_type"),
        (said(""), "missing_field"),
        (said("known", given_us="x"), "wrong_type"),
        (said("known", given_us=-1), "wrong_type"),
        (said("known", given_us=1 << 70), "wrong_type"),
    ],
)
def test_poison_is_rejected_and_its_neighbours_pass(value: bytes | None, reason: str) -> None:
    output = process(batch(said("known1"), value, said("known2")))
    assert [(reject.index, reject.reason) for reject in output.rejects] == [(1, reason)]
    assert [label.transaction_id for label in labels(output)] == ["known1", "known2"]


def outcomes(output: Output) -> list[VerdictOutcome]:
    return [
        decode_outcome(value or b"")
        for emit in output.emits
        if emit.topic == OUTCOMES
        for value in emit.values
    ]


def test_a_row_of_a_version_with_the_same_columns_is_learnt_from() -> None:
    versions = {"known1": "aaaaaaaa", "known2": "bbbbbbbb", "known3": PROFILE.hash.decode()}
    stage = LabelStage(
        PROFILE,
        lambda ids: {name: row(name, versions[name]) for name in ids},
        same_columns=lambda version: version == "aaaaaaaa",
    )
    output = done(stage, batch(*map(said, versions)))
    assert [(label.transaction_id, label.profile) for label in labels(output)] == [
        ("known1", PROFILE.hash.decode()),
        ("known3", PROFILE.hash.decode()),
    ]
    assert (output.rejects, output.passed) == ([], {"other_profile": 1})
    [told] = outcomes(output)
    assert (told.transaction_id, told.outcome, told.offset) == ("known2", "passed_over", 1)
    assert "version bbbbbbbb" in told.detail


def test_verdicts_that_are_passed_over_are_logged_once_a_version(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = LabelStage(PROFILE, lambda ids: {name: row(name, name) for name in ids})
    for name in ("v1", "v1", "v2", "v1"):
        assert done(stage, batch(said(name))).passed == {"other_profile": 1}
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


def test_a_verdict_that_is_given_up_is_told_by_its_id() -> None:
    output = process(batch(said("known"), said("late", label_id="L"), b"poison"))
    [told] = outcomes(output)
    assert told == VerdictOutcome(
        "L", "late", "refused", "unknown_transaction", output.rejects[1].detail, 1
    )


def test_one_look_up_a_batch_and_a_database_that_is_away() -> None:
    asked: list[list[str]] = []

    def away(ids: list[str]) -> Mapping[str, ScoredRow]:
        asked.append(ids)
        raise Retry("the database is away")

    with pytest.raises(Retry):
        done(LabelStage(PROFILE, away), batch(said("b"), said("a"), said("b")))
    assert asked == [["a", "b"]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["known1", "known2", "gone"]), st.sampled_from(["fraud", "legitimate"])
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 12),
)
def test_any_batches_give_the_same_labels(verdicts: list[tuple[str, str]], cut: int) -> None:
    whole = batch(*[encode(Verdict(name, verdict)) for name, verdict in verdicts])  # type: ignore[arg-type]
    cut = min(cut, len(whole))
    parts = [
        process(whole.slice(start, stop))
        for start, stop in ((0, cut), (cut, len(whole)))
        if start < stop
    ]
    assert [label for part in parts for label in labels(part)] == labels(process(whole))


def test_a_verdict_that_was_put_back_is_as_old_as_it_was() -> None:
    put_back = batch(said("known"), headers=[(RECORDED, b"3")])
    assert labels(process(put_back))[0].given_us == 3000
    for forged in (b"", b"soon", b"-5", b"9" * 40, b"900", b"\xff"):
        ahead = batch(said("known"), headers=[(RECORDED, forged)])
        assert labels(process(ahead))[0].given_us == 7000


def with_sources(hourly: int = 20_000, **weights: float) -> Profile:
    profile = load_profile("card")
    profile.sources = VerdictSources(hourly, weights)
    return profile


def test_a_label_says_its_sources_weight() -> None:
    stage = LabelStage(with_sources(crowd=0.25, nobody=0), lookup)
    given = batch(*[said("known", source=source) for source in ("crowd", "nobody", "bank")])
    assert [label.weight for label in labels(done(stage, given))] == [0.25, 0.0, 1.0]


def test_what_is_over_the_quota_becomes_no_label_and_is_told() -> None:
    stage = LabelStage(with_sources(hourly=2), lookup)
    flood = [said("known", label_id=f"L{number}", source="flood") for number in range(4)]
    output = done(stage, batch(*flood, said("known", label_id="B", source="bank")))
    assert [label.label_id for label in labels(output)] == ["L0", "L1", "B"]
    assert [(told.label_id, told.outcome, told.offset) for told in outcomes(output)] == [
        ("L2", "over_quota", 2),
        ("L3", "over_quota", 3),
    ]
    assert (output.rejects, output.passed) == ([], {"over_quota": 2})


def test_partitions_share_a_quota_out() -> None:
    stage = LabelStage(with_sources(hourly=400), lookup)
    state = stage.new_state(0, 4)
    output = stage.process(state, batch(*[said("known", label_id=str(n)) for n in range(200)]))
    assert len(labels(output)) == share(400, 4) == 140
