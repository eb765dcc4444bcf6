"""What a scoring process with every detector imports, how soon it scores, and what memory it
takes.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.trained import Trained

TRAINING = (
    "tensorflow",
    "keras",
    "lightgbm",
    "xgboost",
    "sklearn",
    "pandas",
    "imblearn",
    "pyarrow",
)
SCORE = f"""
import json, sys, time
from pathlib import Path
import numpy as np, psutil
import tidegate.broker.kafka, tidegate.stream.runner, tidegate.status.health
from consumers.score import ScoreStage
from tidegate.messages.documents import Champion, encode
from tidegate.profile import load_profile
from tidegate.stream.stage import NoState
from tidegate.broker.records import Batch, TopicPartition

profile, bundles, bundle = load_profile(sys.argv[1]), sys.argv[2], sys.argv[3]
stage = ScoreStage(profile, Path(bundles))
champion = encode(Champion(bundle, profile.hash.decode(), 1))
stage.absorb(NoState(), Batch(TopicPartition("models", 0), [0], [b""], [champion], [0], [None], 1))
scores = stage.bundle.score(np.zeros((4000, len(profile.values)))).final
loaded = [name for name in {TRAINING!r} if name in sys.modules]
print(json.dumps({{"loaded": loaded, "scores": len(scores),
                  "seconds": time.process_time(), "mb": psutil.Process().memory_info().rss / 1e6}}))
"""


@pytest.fixture(scope="module")
def scorer(everything: Trained) -> dict[str, float]:
    """The quicker of two processes after the first, which compiles the loops, once for each
    machine.
    """
    command = [
        sys.executable,
        "-c",
        SCORE,
        str(everything.profile.path),
        str(everything.bundle.path.parent),
        everything.bundle.hash,
    ]
    outputs = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)
    ]
    return min(
        (dict(json.loads(text)) for text in outputs[1:]),
        key=lambda output: float(output["seconds"]),
    )


def test_it_imports_nothing_that_trains(scorer: dict[str, float]) -> None:
    assert scorer["loaded"] == []
    assert scorer["scores"] == 4000


def test_it_is_ready_within_three_seconds(scorer: dict[str, float]) -> None:
    """Of CPU, so that what else runs on the machine does not count."""
    assert scorer["seconds"] < 3


def test_it_stays_below_400_megabytes(scorer: dict[str, float]) -> None:
    assert scorer["mb"] < 400
