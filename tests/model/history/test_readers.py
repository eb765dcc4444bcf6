"""Files as JSON lines: the three kinds give the same transactions."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from model.history.readers import Source
from producers.simulator.history import encode_rows, simulate_history
from tidegate.errors import ConfigError
from tidegate.profile import Profile, load_profile


def write(history: pd.DataFrame, path: Path, profile: Profile) -> Path:
    if path.suffix == ".parquet":
        history.to_parquet(path)
    elif path.suffix == ".csv":
        history.to_csv(path, index=False)
    else:
        path.write_bytes(b"\n".join(encode_rows(profile, history)[1]) + b"\n")
    return path


def pairs(source: Source, start: int, size: int) -> list[tuple[str, bytes]]:
    return [
        pair
        for chunk in source.chunks(start, size)
        for pair in zip(chunk.ids, chunk.lines, strict=True)
    ]


@pytest.mark.parametrize("name", ["card", "wallet", "handbook", "creditcard", "vector"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_file_gives_the_transactions_it_was_made_of(
    name: str, suffix: str, tmp_path: Path
) -> None:
    profile = load_profile(name)
    history = simulate_history(profile, 300, 5)
    if name == "vector" and suffix == ".csv":
        history["data"] = history["data"].map(
            lambda cell: msgspec.json.encode(cell.tolist()).decode()
        )
    lines = encode_rows(profile, simulate_history(profile, 300, 5))[1]
    wanted = [profile.canonical(profile.decode(line)) for line in lines]
    source = Source(write(history, tmp_path / f"file{suffix}", profile), profile)
    chunks = list(source.chunks(0, 128))
    got = [profile.decode(line) for chunk in chunks for line in chunk.lines]
    assert [profile.event_us(tx) for tx in got] == [
        profile.event_us(profile.decode(line)) for line in wanted
    ]
    if profile.time_field is None:
        assert [profile.canonical(tx) for tx in got] == wanted
    assert [profile.id_of(tx) for tx in got] == [key for chunk in chunks for key in chunk.ids]
    assert [chunk.first + i for chunk in chunks for i in range(len(chunk.ids))] == list(range(300))
    assert not source.unknown


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_resuming_reads_the_same_rows(suffix: str, tmp_path: Path) -> None:
    profile = load_profile("card")
    history = simulate_history(profile, 500, 5).drop(columns="transaction_id")
    path = tmp_path / f"file{suffix}"
    if suffix == ".jsonl":
        with_ids = history.assign(transaction_id="x")
        lines = [msgspec.json.decode(line) for line in encode_rows(profile, with_ids)[1]]
        path.write_bytes(
            b"".join(
                msgspec.json.encode({k: v for k, v in line.items() if k != "transaction_id"})
                + b"\n"
                for line in lines
            )
        )
    else:
        write(history, path, profile)
    whole, rest = pairs(Source(path, profile), 0, 100), pairs(Source(path, profile), 237, 64)
    assert len({key for key, _ in whole}) == 500, "ids are derived from digest and row"
    assert rest == whole[237:]


def test_unknown_columns_are_named_and_left_out_missing_ones_refused(tmp_path: Path) -> None:
    profile = load_profile("card")
    history = simulate_history(profile, 20, 5).assign(colour="red")
    source = Source(write(history, tmp_path / "a.csv", profile), profile)
    for chunk in source.chunks(0, 100):
        for line in chunk.lines:
            profile.decode(line)
    assert source.unknown == ["colour"]
    wrong = Source(
        write(history.drop(columns=["amount", "merchant"]), tmp_path / "b.parquet", profile),
        profile,
    )
    with pytest.raises(ConfigError, match=r"amount, merchant.*the file has"):
        list(wrong.chunks(0, 10))


def test_cells_that_do_not_fit_stay_for_the_api_to_name(tmp_path: Path) -> None:
    profile = load_profile("card")
    history = simulate_history(profile, 3, 5).astype({"amount": object})
    history.loc[1, "amount"] = "much"
    history.loc[2, "location_distance_km"] = None
    source = Source(write(history, tmp_path / "a.csv", profile), profile)
    lines = [line for chunk in source.chunks(0, 10) for line in chunk.lines]
    profile.decode(lines[0])
    assert profile.faults(lines[1])[0][0] == "amount"
    assert msgspec.json.decode(lines[1])["amount"] == "much"
    assert "location_distance_km" not in msgspec.json.decode(lines[2])


def test_lines_that_are_not_json_go_on_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": "a", "data": []}\n\nnonsense\n[1]\n')
    chunk = next(Source(path, load_profile("vector")).chunks(0, 10))
    assert chunk.lines[1:] == [b"nonsense", b"[1]"]
    assert chunk.ids == ["a", "", ""]


@pytest.mark.parametrize("content", [b"", b"\x00\xff not a table"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_that_is_none_is_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        list(Source(path, load_profile("card")).chunks(0, 10))


def test_other_kinds_and_absent_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        Source(tmp_path / "none.csv", load_profile("card"))
    (tmp_path / "a.xlsx").write_bytes(b"")
    with pytest.raises(ConfigError, match="do not know"):
        Source(tmp_path / "a.xlsx", load_profile("card"))
