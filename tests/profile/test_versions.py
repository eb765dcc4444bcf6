"""Which changes of a profile are a new version, and which are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.running.handover import changes_profile, check_profile
from tidegate.profile import Profile, load_profile
from tidegate.settings import Settings

CARD = Path("profiles/card.yaml").read_text()


def profile(folder: Path, text: str) -> Profile:
    path = folder / "card.yaml"
    path.write_text(text)
    return load_profile(path)


def changed(old: str, new: str) -> str:
    assert old in CARD
    return CARD.replace(old, new, 1)


def with_other_thresholds(text: str) -> str:
    """The profile with other thresholds."""
    before, _, after = text.partition("thresholds:")
    rest = after.partition("\n")[2]
    while rest.startswith((" ", "\n")):
        rest = rest.partition("\n")[2]
    return f"{before}thresholds: {{review: 0.31, block: 0.93}}\n{rest}"


@pytest.mark.parametrize(
    "text",
    [
        CARD + "unknown_fields: keep\n",
        CARD + "remember: {time: 48h, memory: 128MB}\n",
        CARD + "sources: {hourly: 100, weights: {crowd: 0.5}}\n",
        CARD + 'file: {separator: ";", skip: 4}\n',
        with_other_thresholds(CARD),
        changed(
            "\nfields:\n", "\nfields:\n  branch: {type: string, optional: true, ignored: true}\n"
        ),
    ],
    ids=["unknown fields", "remember", "sources", "files", "thresholds", "an ignored field"],
)
def test_what_no_state_depends_on_is_no_new_version(text: str, tmp_path: Path) -> None:
    card, new = load_profile("card"), profile(tmp_path, text)
    assert new.hash == card.hash
    assert new.version != card.version
    assert (new.values, new.features) == (card.values, card.features)
    assert new.scored_layout.dtype == card.scored_layout.dtype


def test_wider_bounds_are_no_new_version(tmp_path: Path) -> None:
    number = "  ratio: {type: number, min: 0, max: 10}\n"
    old = profile(tmp_path, changed("\nfields:\n", "\nfields:\n" + number))
    new = profile(
        tmp_path, changed("\nfields:\n", "\nfields:\n" + number.replace("max: 10", "max: 99"))
    )
    assert (old.hash, old.version != new.version) == (new.hash, True)
    typed = profile(
        tmp_path, changed("\nfields:\n", "\nfields:\n" + number.replace("number", "integer"))
    )
    assert typed.hash != new.hash


def test_a_bound_from_which_amounts_need_more_words_is_a_new_version(tmp_path: Path) -> None:
    """States have other rows then; within either width, bounds are free as ever."""
    hashes = [
        profile(tmp_path, changed("max: 1000000}", f"max: {most}}}")).hash
        for most in (1_000_000, 30_000_000, 30_000_000.01, 10_000_000_000_000)
    ]
    assert hashes[0] == hashes[1] != hashes[2] == hashes[3]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("window: 1h}", "window: 2h}"),
        ("is: log1p(amount)", "is: log1p(amount + 1)"),
        ("\nfields:\n", "\nfields:\n  ratio: {type: number}\n"),
        ("label_delay: 7d", "label_delay: 8d"),
    ],
)
def test_what_a_state_depends_on_is_a_new_version(old: str, new: str, tmp_path: Path) -> None:
    assert profile(tmp_path, changed(old, new)).hash != load_profile("card").hash


def test_up_takes_a_profile_that_changed_in_nothing_that_matters(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert check_profile(settings, load_profile("card")) == ""
    assert check_profile(settings, load_profile("card")) == ""
    new = profile(tmp_path, with_other_thresholds(CARD))
    assert not changes_profile(settings, new)
    assert "tidegate train --promote" in check_profile(settings, new)
    assert check_profile(settings, new) == ""
    assert changes_profile(settings, profile(tmp_path, changed("window: 1h}", "window: 2h}")))


def test_the_note_of_the_version_before_is_of_the_same_profile(tmp_path: Path) -> None:
    """It named the profile by the hash of its whole file."""
    settings, card = Settings(home=tmp_path), load_profile("card")
    (tmp_path / "profile").write_text(f"card {card.version.decode()}\n")
    assert not changes_profile(settings, card)
    assert check_profile(settings, card) == ""
    assert (tmp_path / "profile").read_text().split() == [
        "card",
        card.hash.decode(),
        card.version.decode(),
    ]
    (tmp_path / "profile").write_text("card 00000000\n")
    assert changes_profile(settings, card)
