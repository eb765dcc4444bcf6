"""What is trained on is what the stream sees: a file with everything that files hold, both ways."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from model.files.reader import Reader
from model.history.fold import fold
from model.history.reading import read_history
from tests.model.features.chain import Chain
from tests.model.history.payments import NAMES, profile_in, rows, write

ODD = {
    "payer": ["007", "7", "4613314721966000001", "12E45", "NA", "None", "null", "0x10", "ÄÖ €"],
    "payee": ["1.0", "1", "nan", "true", "-", "a b", "Bücher & Söhne"],
    "eur": ["0.35", "1234.5", "0", "0.005", "-1", "1e3", "+1.5", "007", ".5", "much", ""],
    "booked_at": [
        "2023-01-03T10:00:00+02:00",
        "1672740000",
        "2023-01-03",
        "",
        "soon",
        "2023-01-02T03:04:05.1234567Z",
        "1672740000000",
    ],
    "mcc": ["5411", "05411", "5411.0", "7995", "NA", ""],
    "country": ["NA", "None", "null", "", "DE", "US"],
    "home": ["true", "false", "", "yes", "1", "maybe"],
    "pieces": ["1", "007", "", "2.0", "9007199254740993"],
}


def nasty(count: int) -> list[str]:
    """Good rows, of which every third has an odd cell, in no order, some of them twice."""
    chance, names, lines = random.Random(7), NAMES.split(","), []
    for i, line in enumerate(rows(count)):
        cells = line.split(",")
        if i % 3 == 0:
            name = chance.choice(list(ODD))
            cells[names.index(name)] = chance.choice(ODD[name])
        lines.append(",".join(cells))
    lines += chance.sample(lines, count // 20)
    chance.shuffle(lines)
    return lines


def as_parquet(place: str) -> str:
    """The same texts in another kind of file."""
    texts = dict.fromkeys(NAMES.split(","), pa.string())
    table = pa_csv.read_csv(place, convert_options=pa_csv.ConvertOptions(column_types=texts))
    pq.write_table(table, place.replace(".csv", ".parquet"))
    return place.replace(".csv", ".parquet")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_gives_training_and_the_stream_the_same_bits(kind: str, tmp_path: Path) -> None:
    profile, place = profile_in(tmp_path), write(tmp_path, nasty(600))
    place = as_parquet(place) if kind == "parquet" else place
    reading = read_history(profile, place, most_refused=1.0)
    history, features = reading.history, fold(profile, reading.history)
    lines = {}
    for some in Reader(place, profile).rows(50):
        lines |= dict(zip(some.numbers.tolist(), some.lines, strict=True))
    assert reading.repeated > 20
    assert 20 < reading.refusals.total < 200
    assert len(reading.refusals.by_reason) >= 3

    frames, rejects = Chain(profile).run([lines[number] for number in history.numbers.tolist()])
    assert not rejects
    assert frames.ids == [name.encode() for name in history.ids.to_pylist()]
    assert np.array(frames.rows["values"]).tobytes() == features.tobytes()

    _, rejects = Chain(profile).run(list(lines.values()))
    refused = len(lines) - len(history.ids) - reading.repeated
    assert len([reason for _, reason in rejects if "duplicate" not in reason]) == refused
