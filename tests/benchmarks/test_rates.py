"""Pairs of runs: who is first changes, and a pair's ratio is that of two runs side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.against import Side
from benchmarks.rates import Pair, Run, pair_of, show

HERE, THERE = (Side(name, Path(name), Path("python")) for name in ("here", "5117877"))


def test_who_is_first_changes_with_the_turn_and_ours_stands_first() -> None:
    ran: list[str] = []

    def once(side: Side) -> Run:
        ran.append(side.name)
        return {"tx_s": 2.0 if side is HERE else 1.0}

    pairs = [pair_of((HERE, THERE), turn, once) for turn in range(2)]
    assert ran == ["here", "5117877", "5117877", "here"]
    assert pairs == [({"tx_s": 2.0}, {"tx_s": 1.0})] * 2


def test_the_ratio_is_the_median_of_the_pairs_not_that_of_the_medians(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pairs: list[Pair] = [
        ({"tx_s": ours}, {"tx_s": theirs}) for ours, theirs in ((10, 10), (40, 20), (30, 30))
    ]
    show("sqlite, medians", pairs)
    assert capsys.readouterr().out == "sqlite, medians: tx_s 30 / 20 = 1.000\n"
