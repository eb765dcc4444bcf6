"""Rows that `send` refuses: told, written down, mended and sent."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from model.files.reader import Reader
from producers.files.send import send
from producers.simulator.history import simulate_history
from tests.producers.files.sending import few, post, raw_ids
from tests.producers.running_api import Api, serve
from tidegate.client import Client
from tidegate.errors import ConfigError, TidegateError
from tidegate.profile import Profile, load_profile

pytestmark = pytest.mark.long


def test_refused_rows_are_named_and_the_others_go_on(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    history = simulate_history(profile, 700, 4).astype({"location_match": object})
    history.loc[0, "amount"] = -5.0
    history.loc[421, "location_match"] = "perhaps"
    path = tmp_path / "bad.csv"
    history.to_csv(path, index=False)
    sent = post(api, profile, path, tmp_path)
    assert (sent.accepted, sent.rejected) == (698, 2)
    assert [(one.row, one.reason) for one in sent.first_rejections] == [
        (1, "out_of_bounds"),
        (422, "wrong_type"),
    ]
    assert sent.first_rejections[1].field == "location_match"
    assert sent.rejected_by_reason == {"out_of_bounds": 1, "wrong_type": 1}
    times = history["timestamp"].drop([0, 421]).astype("datetime64[us, UTC]").astype("int64")
    assert (sent.from_us, sent.to_us) == (times.min(), times.max())
    assert post(api, profile, path, tmp_path).rejected == 2, "a second run still tells of them"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_only_its_owner_reads_refused_rows(
    api: Api, profile: Profile, tmp_path: Path, kind: str
) -> None:
    path = few(tmp_path / "bad.jsonl", [{"transaction_id": "t", "amount": -5}])
    if kind == "csv":
        path = tmp_path / "bad.csv"
        pd.read_json(tmp_path / "bad.jsonl", lines=True).to_csv(path, index=False)
    elsewhere = tmp_path / f"refused.{kind}"
    elsewhere.write_text("refused_row\n")
    elsewhere.chmod(0o644)
    for rejects in (None, elsewhere):
        sent = post(api, profile, path, tmp_path, **({"rejects": rejects} if rejects else {}))
        assert sent.rejected == 1
        assert stat.S_IMODE(Path(sent.rejections_file).stat().st_mode) == 0o600


def test_a_mended_row_or_profile_posts_what_was_refused(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        {"transaction_id": f"t{number}", "amount": amount}
        for number, amount in enumerate((-5, 5, 5, -5))
    ]
    file = few(tmp_path / "refunds.jsonl", rows)
    first = post(api, profile, file, tmp_path)
    assert (first.posted, first.rejected) == (2, 2)
    text = profile.path.read_text()
    mended = tmp_path / "card.yaml"
    mended.write_text(
        text.replace("type: money, decimals: 2, min: 0", "type: money, decimals: 2, min: -1000")
    )
    early = send(Reader(str(file), load_profile(mended)), Client(api.url), tmp_path)
    assert (early.posted, early.accepted, early.rejected) == (2, 0, 2)
    assert early.remarks[-1].startswith("2 rows that this profile takes were refused by the API")
    with serve(load_profile(mended), tmp_path, api.broker) as same:
        again = send(
            Reader(str(file), load_profile(mended)), Client(same.url), tmp_path, log=api.url
        )
    assert (again.posted, again.acknowledged_before, again.rejected) == (2, 2, 0)
    assert sorted(raw_ids(api, load_profile(mended))) == ["t0", "t1", "t2", "t3"]


def test_too_many_refused_rows_stop_before_any_is_posted(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"amount": -5.5 if row % 2 else 5} for row in range(60)]
    file = few(tmp_path / "refunds.jsonl", rows)
    with pytest.raises(TidegateError, match=r"30 of 60 rows are refused, more than 5%") as stopped:
        post(api, profile, file, tmp_path)
    assert "row 2, amount: out_of_bounds:" in str(stopped.value)
    assert "5.5" not in str(stopped.value)
    assert raw_ids(api, profile) == []
    (rejects,) = (tmp_path / "send").glob("*.rejected.jsonl")
    assert rejects.read_text().count("out_of_bounds") == 30
    assert post(api, profile, file, tmp_path, most_refused=0.5).posted == 30
    assert post(api, profile, file, tmp_path, restart=True, stream=True).posted == 30


def test_refused_rows_mended_and_sent(api: Api, profile: Profile, tmp_path: Path) -> None:
    history = simulate_history(profile, 50, 4)
    history.loc[3, "amount"] = -5.25
    history.loc[7, "merchant"] = ""
    path, rejects = tmp_path / "bad.csv", tmp_path / "out.csv"
    history.to_csv(path, index=False)
    sent = post(api, profile, path, tmp_path, rejects=rejects)
    assert (sent.accepted, sent.rejections_file) == (48, str(rejects))
    table = pd.read_csv(rejects, keep_default_na=False)
    assert table["refused_row"].tolist() == [4, 8]
    assert table["refused_field"].tolist() == ["amount", "merchant"]
    table["amount"], table["merchant"] = 5.25, "m"
    mended = tmp_path / "mended.csv"
    table.to_csv(mended, index=False)
    again = post(api, profile, mended, tmp_path)
    assert (again.posted, again.accepted) == (2, 2)
    assert set(raw_ids(api, profile)) == set(history["transaction_id"])
    with pytest.raises(ConfigError, match="is the file to send"):
        post(api, profile, mended, tmp_path, rejects=mended)
    with pytest.raises(ConfigError, match="holds no refused rows"):
        post(api, profile, mended, tmp_path, rejects=path)


def test_refused_rows_of_json_lines_are_json_lines(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    few(folder / "a.jsonl", [{}, {"amount": -5}])
    few(folder / "b.jsonl", [{"amount": 6}])
    sent = post(api, profile, folder, tmp_path)
    assert (sent.posted, sent.rejected) == (2, 1)
    mended = tmp_path / f"mended{Path(sent.rejections_file).suffix}"
    mended.write_text(Path(sent.rejections_file).read_text().replace("-5", "5.5"))
    assert post(api, profile, mended, tmp_path).posted == 1


def test_values_are_shown_where_that_is_asked_for(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    file = few(tmp_path / "one.jsonl", [{"user_id": "Alice", "amount": -5}, {}])
    (told,) = post(api, profile, file, tmp_path).first_rejections
    assert "Alice" not in told.sentence
    (told,) = post(api, profile, file, tmp_path, show_values=True).first_rejections
    assert "Alice" in told.sentence


def test_what_the_api_alone_refuses_is_listed_with_its_cells(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    first = few(tmp_path / "a.jsonl", [{"transaction_id": "t-secret", "amount": 5}])
    other = few(tmp_path / "b.jsonl", [{"transaction_id": "t-secret", "amount": 6}, {}])
    post(api, profile, first, tmp_path)
    sent = post(api, profile, other, tmp_path)
    assert (sent.posted, sent.accepted, sent.rejected) == (2, 1, 1)
    assert sent.first_rejections[0].reason == "conflicting_duplicate"
    assert "t-secret" not in sent.first_rejections[0].sentence
    assert "t-secret" in Path(sent.rejections_file).read_text()
