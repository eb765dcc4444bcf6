"""When `tidegate models promote` says that a promotion is complete."""

from __future__ import annotations

import msgspec
import pytest

from cli.models import _behind
from model.bundles.promotion import Promoted
from tidegate.errors import ConfigError
from tidegate.messages.documents import Champion, Heartbeat

PROMOTED = Promoted(Champion("newer", "profile", 1), 7)
USES = Heartbeat("score-1", "score", 1, "h", [0], True, 0, 0, 0, 0, "newer", 8, 9000, 5)
LATE = msgspec.structs.replace(USES, process="score-2", bundle="older", models_offset=7)
REFUSES = msgspec.structs.replace(LATE, models_offset=8, refused="newer: it is damaged")


def test_a_scorer_that_has_not_read_the_promotion_is_waited_for() -> None:
    earlier = msgspec.structs.replace(LATE, refused="another: it is not there")
    assert _behind([USES, LATE], PROMOTED) == ["score-2"]
    assert _behind([USES, earlier], PROMOTED) == ["score-2"]
    assert _behind([USES], PROMOTED) == []


def test_a_scorer_that_refuses_the_champion_is_named_with_its_reason() -> None:
    with pytest.raises(ConfigError, match="score-2 refuses newer: it is damaged"):
        _behind([USES, REFUSES], PROMOTED)
