"""What is compiled beside the first training."""

from __future__ import annotations

import pytest

from model.detectors import online
from model.features import operator
from model.sip import _sip_all
from model.training.rehearsal import rehearse
from tidegate.profile import load_profile


@pytest.mark.parametrize("name", ["card", "vector", "handbook"])
def test_it_compiles_what_learns_and_what_looks_ids_up(name: str) -> None:
    """Also for a profile without entities, and for one that keeps verdicts."""
    profile = load_profile(name)
    rehearse(profile)
    assert operator.absorb.signatures  # type: ignore[attr-defined]  # numba's
    assert _sip_all.signatures  # type: ignore[attr-defined]
    if profile.models.learns:
        assert online._learn.signatures  # type: ignore[attr-defined]
