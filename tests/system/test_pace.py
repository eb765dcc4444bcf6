"""At a moderate rate no step falls behind, not even right after a run at full rate."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.latency import latency
from benchmarks.pipeline import measure, prepare
from benchmarks.system import System
from tests.system.pipeline import trained_card

pytestmark = [pytest.mark.processes, pytest.mark.training, pytest.mark.long]

BURST, RATE, SECONDS = 20_000, 500, 5
TIMES, USUAL_MS = 4, 150
"""How many times as late as the first second's posts the last second's may be. Where the first are
very quick, a busy machine makes more of it, so they count as this late at least."""


def test_after_a_burst_the_last_second_is_no_later_than_the_first(tmp_path: Path) -> None:
    system = System(tmp_path / "system")
    system.start()
    try:
        settings = system.settings(bundles=str(trained_card()))
        prepare(settings, train=False)
        measure(system, settings, BURST)
        late = latency(system, settings, SECONDS, RATE)
    finally:
        system.close()
    assert late.last_p50 < TIMES * max(late.first_p50, USUAL_MS), late
