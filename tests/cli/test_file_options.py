"""Options that say how one file is written: what they change, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from cli.file_options import as_written
from tidegate.errors import ConfigError
from tidegate.profile import load_profile

CARD = load_profile("card")


def test_they_change_how_files_are_read_and_no_hash() -> None:
    changed = as_written(
        CARD,
        separator="tab",
        zone="+02:00",
        decimal_mark=",",
        columns=["amount=Betrag (€)", "timestamp=Date", "timestamp=Time"],
    )
    assert (changed.file.sign, changed.file.zone, changed.file.decimal_mark) == (
        "\t",
        "+02:00",
        ",",
    )
    assert changed.fields["amount"].column == "Betrag (€)"
    assert changed.fields["timestamp"].column == ["Date", "Time"]
    assert (changed.hash, changed.version) == (CARD.hash, CARD.version)
    assert (CARD.file.sign, CARD.fields["amount"].column) == (None, None)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"separator": "::"}, "--separator: expected one ASCII sign, or tab"),
        ({"separator": "tabs"}, "--separator"),
        ({"decimal_mark": ",,"}, "--decimal-mark"),
        ({"decimal_mark": "5"}, "--decimal-mark: expected one sign"),
        ({"zone": "Berlin"}, "--zone: expected a name such as Europe/Berlin, or +02:00"),
        ({"encoding": "latin-99"}, "--encoding: expected a name such as windows-1252"),
        ({"encoding": "undefined"}, "--encoding: expected a name such as windows-1252"),
        ({"columns": ["amount"]}, "--column amount: expected FIELD=NAME"),
        ({"columns": ["sum=x"]}, "--column sum=x: expected FIELD=NAME with a field of profile"),
        ({"columns": ["amount=a", "amount=b"]}, "--column amount: a money field stands in one"),
        ({"columns": ["location_match=a", "location_match=b"]}, "--column location_match: a bool"),
    ],
)
def test_what_makes_no_sense_names_its_option(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        as_written(CARD, **asked)
    assert str(refused.value).startswith(said)
