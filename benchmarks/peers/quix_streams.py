"""One hop as a Quix Streams application: windows by the account, and LightGBM, exactly once.

Runs in a virtual environment of its own, until SIGTERM: `python -m benchmarks.peers.quix_streams
ADDRESS SOURCE TARGET SETTINGS FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from quixstreams import Application, State

from benchmarks.peers.windows import Columns, packed, unpacked

COMMIT_SECONDS = 0.1
_WINDOWS = "windows"


def main(address: str, source: str, target: str, settings: str, folder: str) -> None:
    """Run it."""
    columns = Columns(Path(settings))
    booster = lightgbm.Booster(model_file=columns.model)

    def scored(transaction: dict[str, Any], state: State) -> dict[str, Any]:
        windows = unpacked(state.get_bytes(_WINDOWS))
        row = columns.row(transaction, windows)
        state.set_bytes(_WINDOWS, packed(windows))
        score = booster.predict(np.array([row]), raw_score=True, num_threads=1)[0]
        features = [value if value == value else None for value in row]
        return {
            "id": transaction["transaction_id"],
            "score": float(score),
            "features": features,
            "transaction": transaction,
        }

    application = Application(
        broker_address=address,
        consumer_group=source,
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        auto_offset_reset="earliest",
        state_dir=folder,
        loglevel="WARNING",
    )
    frame = application.dataframe(application.topic(source, value_deserializer="json"))
    frame = frame.apply(scored, stateful=True)
    frame.to_topic(application.topic(target, value_serializer="json"))
    application.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
