"""The words of `tidegate redrive`."""

from __future__ import annotations

from cli.redrive import lines
from producers.redrive.redrive import Summary


def test_each_outcome_is_a_sentence() -> None:
    summary = Summary({"transactions.raw": 12}, conflicts=3, before=4, reasons={"invalid_json": 12})
    shown = lines(summary, attempts=5)
    assert shown[0] == "      12  back to transactions.raw, of the stage that failed"
    assert "       3  left out: conflicting duplicates, which would fail again" in shown[1]
    assert shown[2:] == [
        "       4  dealt with by an earlier redrive",
        "their reasons: 12 invalid_json",
    ]


def test_nothing_to_put_back_and_a_dry_run_are_told() -> None:
    shown = lines(Summary(not_selected=2, dry_run=True), attempts=5)
    assert "nothing was written" in shown[0]
    assert shown[1:] == ["nothing to put back", "       2  passed over: the options ask for others"]
