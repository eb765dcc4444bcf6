"""What a start of every process costs: it need not import the largest package."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    "module", ["producers.api.app", "dashboard.models.orders", "consumers.persist"]
)
def test_a_process_that_scores_nothing_does_not_load_numba(module: str) -> None:
    code = f"import sys, {module}; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
