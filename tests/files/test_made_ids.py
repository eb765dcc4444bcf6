"""Ids of rows that have none: the same for the same rows, wherever they stand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.files import occurrences
from model.files.made_ids import MadeIds
from model.files.occurrences import Occurrences
from model.files.rows import UNKNOWN, Rows
from tidegate.profile import Profile, load_profile

CARD = load_profile("card")
ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, "own-1", "own-2"])))


def made(profile: Profile, rows: list[bytes]) -> tuple[list[str], list[bytes]]:
    ids = [str(json.loads(row).get(profile.id_field) or "") for row in rows]
    read = Rows(
        np.arange(1, len(rows) + 1),
        ids,
        rows,
        np.full(len(rows), UNKNOWN, np.int8),
        [],
        pa.record_batch({"line": [row.decode() for row in rows]}),
    )
    complete = MadeIds(profile).complete(read)
    return complete.ids, complete.lines


def lines_of(rows: list[tuple[str, str | None]]) -> list[bytes]:
    return [
        json.dumps({"user_id": user} | ({} if own is None else {"transaction_id": own})).encode()
        for user, own in rows
    ]


@settings(deadline=None)
@given(old=ROWS, new=ROWS, order=st.randoms(use_true_random=False))
def test_a_grown_file_in_any_order_has_the_ids_it_had(
    old: list[tuple[str, str | None]], new: list[tuple[str, str | None]], order: Random
) -> None:
    before, _ = made(CARD, lines_of(old))
    grown = old + new
    order.shuffle(grown)
    after, lines = made(CARD, lines_of(grown))
    assert not Counter(before) - Counter(after)
    assert [json.loads(line)["transaction_id"] for line in lines] == after
    own = [name for name in after if not name.startswith("own-")]
    assert len(set(own)) == len(own) == sum(name is None for _, name in grown)


def test_the_verdict_is_no_part_of_an_id(tmp_path: Path) -> None:
    text = CARD.path.read_text()
    path = tmp_path / "labelled.yaml"
    path.write_text(
        text.replace("fields:\n", "fields:\n  fraud: {type: integer, optional: true}\n").replace(
            "history: {", "history: {label: fraud, "
        )
    )
    profile = load_profile(path)
    ids, lines = made(profile, [b'{"user_id":"a"}', b'{"user_id":"a","fraud":1}', b"{}"])
    assert ids[0].removesuffix("-1") == ids[1].removesuffix("-2")
    assert [json.loads(line).get("fraud") for line in lines] == [None, 1, None]


@given(batches=st.lists(st.lists(st.integers(0, 300), max_size=200), max_size=6))
def test_occurrences_are_counted(batches: list[list[int]]) -> None:
    table, counted = Occurrences(), Counter[int]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(occurrences, "RUN", 20)
        for batch in batches:
            expected = []
            for number in batch:
                counted[number] += 1
                expected.append(counted[number])
            assert table.count(np.array(batch, np.uint64)).tolist() == expected


def test_many_are_counted() -> None:
    table = Occurrences()
    hashes = np.random.default_rng(1).integers(1, 2**63, 50_000).astype(np.uint64)
    for some in np.array_split(hashes, 20):
        assert (table.count(some) == 1).all()
    assert (table.count(hashes) == 2).all()
