"""One class and one line in `TYPES` are all that a type of field needs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from msgspec import Meta

from model.features.intake import take
from model.files.reader import Reader
from model.history.fold import fold
from producers.api.openapi import description
from producers.simulator.history import encode_rows, read_frame, simulate_history
from producers.simulator.traffic import Traffic
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Rejected
from tidegate.profile import Field, Profile, load_profile
from tidegate.profile.field_types import TYPES
from tidegate.profile.sample import sample
from tidegate.settings import Settings

CARD = Path("profiles/card.yaml").read_text()
NOW_US = 1_790_000_000_000_000
OPTIONS = {"category": ", values: [a, b, c]", "vector": ", length: 3"}


class Weight(Field):
    """A weight such as 12kg, which no shipped profile has."""

    type: ClassVar[str] = "weight"

    heaviest: int = 1000

    def annotation(self) -> object:
        return Annotated[str, Meta(pattern=r"^\d{1,6}kg$")]

    def needs_look(self) -> bool:
        return True

    def fault(self, value: str, _received_us: int) -> tuple[str, str] | None:
        if self._kilograms(value) > self.heaviest:
            return "out_of_bounds", f"expected at most {self.heaviest}kg"
        return None

    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def numbers(self, values: Iterable[str | None]) -> list[Any]:
        return [None if value is None else self._kilograms(value) for value in values]

    def example(self, chance: float, _time_us: int) -> str:
        return f"{int(chance * self.heaviest)}kg"

    @staticmethod
    def _kilograms(value: str) -> int:
        return int(value.removesuffix("kg"))


def with_field(folder: Path, declaration: str, feature: str = "") -> Profile:
    """The card profile with one field more (and a feature), under a name of its own."""
    section = f"  parcel: {declaration}\n\nfeatures:\n{feature}"
    text = CARD.replace("\nfeatures:\n", section)
    path = folder / "parcels.yaml"
    path.write_text(text)
    return load_profile(path)


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setitem(TYPES, Weight.type, Weight)
    feature = "  parcel_tons: {op: expression, is: parcel / 1000}\n"
    return with_field(tmp_path, "{type: weight, heaviest: 50}", feature)


def message(profile: Profile, parcel: object) -> bytes:
    return json.dumps(sample(profile, now_us()) | {"parcel": parcel}).encode()


def test_the_check_knows_its_options(tmp_path: Path, profile: Profile) -> None:
    assert profile.fields["parcel"] == Weight(name="parcel", heaviest=50)
    with pytest.raises(ConfigError, match=r"parcel\.min: a weight field takes heaviest"):
        with_field(tmp_path, "{type: weight, min: 3}")
    with pytest.raises(ConfigError, match=r"parcel\.heaviest: expected a whole number, got 'no'"):
        with_field(tmp_path, "{type: weight, heaviest: 'no'}")


@pytest.mark.parametrize(
    ("parcel", "reason"),
    [
        ("12", "out_of_bounds"),
        ("51kg", "out_of_bounds"),
        (12, "wrong_type"),
        (None, "missing_field"),
    ],
)
def test_the_decoder_refuses_what_the_type_refuses(
    profile: Profile, parcel: object, reason: str
) -> None:
    assert profile.faults(message(profile, "50kg")) == []
    assert profile.decode(message(profile, "50kg")).parcel == "50kg"  # type: ignore[attr-defined]
    with pytest.raises(Rejected) as caught:
        profile.decode(message(profile, parcel))
    assert caught.value.reason == reason


def test_the_stream_and_the_history_have_its_columns(profile: Profile) -> None:
    history = simulate_history(profile, 500, 2)
    _, lines = encode_rows(profile, history)
    wanted = [float(parcel.removesuffix("kg")) for parcel in history["parcel"]]
    assert len(set(wanted)) > 10, "by chance"
    place = profile.values.index("parcel")
    intake = take(profile, lines, np.full(len(lines), NOW_US))
    assert not intake.rejects
    assert intake.columns.values[:, place].tolist() == wanted
    folded = fold(profile, read_frame(profile, history).history)
    assert folded[:, place].tolist() == wanted
    tons = folded[:, profile.values.index("parcel_tons")]
    assert tons == pytest.approx(np.array(wanted) / 1000)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_are_read(profile: Profile, suffix: str, tmp_path: Path) -> None:
    history, path = simulate_history(profile, 100, 2), tmp_path / f"file{suffix}"
    if suffix == ".csv":
        history.to_csv(path, index=False)
    else:
        history.to_parquet(path)
    lines = [line for rows in Reader(str(path), profile).rows(64) for line in rows.lines]
    assert [json.loads(line)["parcel"] for line in lines] == history["parcel"].tolist()
    assert not any(profile.faults(line) for line in lines)


def test_traffic_the_line_to_try_and_openapi_have_it(profile: Profile) -> None:
    events = Traffic(profile, 50.0, 1, NOW_US).until(NOW_US + 20_000_000)
    assert len({json.loads(event[2])["parcel"] for event in events}) > 10
    assert not any(profile.faults(event[2]) for event in events)
    assert sample(profile, now_us())["parcel"] == "0kg"
    schemas = description(profile, Settings())["components"]["schemas"]
    schema = schemas[profile.struct.__name__]
    assert schema["properties"]["parcel"] == {"type": "string", "pattern": r"^\d{1,6}kg$"}
    assert "parcel" in schema["required"]


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("chance", [0.0, 0.4, 0.999])
def test_the_examples_of_every_type_are_good_values(
    kind: str, chance: float, tmp_path: Path
) -> None:
    profile = with_field(tmp_path, f"{{type: {kind}{OPTIONS.get(kind, '')}}}")
    field = profile.fields["parcel"]
    raw = message(profile, field.example(chance, NOW_US))
    assert profile.faults(raw) == []
    columns = take(profile, [raw], np.zeros(1, np.int64)).columns
    own = [profile.values.index(name) for name in field.columns()]
    assert np.isfinite(columns.values[0, own]).all()
    assert len(own) == {"vector": 3, "string": 0, "time": 0, "currency": 0}.get(kind, 1)


def test_a_text_is_an_amount_only_where_the_profile_says_so(tmp_path: Path) -> None:
    """As in JSON lines whose amounts are texts, and in base64 of digits only."""
    path = tmp_path / "texts.yaml"
    path.write_text(CARD.replace("amount: {type: money", "amount: {type: money, text: true"))
    card, texts = load_profile("card"), load_profile(path)
    record = sample(card, now_us()) | {"amount": "1234"}
    with pytest.raises(Rejected) as caught:
        card.decode(json.dumps(record).encode())
    assert caught.value.reason == "wrong_type"
    taken = take(texts, [json.dumps(record).encode()], np.zeros(1, np.int64))
    assert taken.columns.amounts.tolist() == [123_400]
    for wrong in ("1,5", "NAN", "POSITIVE_INFINITY", "1e3", "99999999999"):
        record["amount"] = wrong
        refused = take(texts, [json.dumps(record).encode()], np.zeros(1, np.int64))
        assert [error.reason for _, error in refused.rejects] == ["out_of_bounds"]
