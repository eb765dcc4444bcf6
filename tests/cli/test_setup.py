"""The first model of `tidegate setup`: one that is shipped, if it fits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cli.setup import _first_bundle
from model.bundles.catalog import entries
from model.bundles.folder import place
from model.bundles.manifest import MANIFEST
from tests.model.bundles.test_shared import content, files
from tidegate.profile import load_profile
from tidegate.settings import Settings

PROFILE = load_profile("card")


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*command: object, **_options: object) -> None:
        raise AssertionError(f"{command} was started")

    monkeypatch.setattr(subprocess, "run", started)


@pytest.mark.parametrize("name", [PROFILE.hash, PROFILE.version])
def test_a_shipped_bundle_by_either_name_of_the_profile_is_taken(
    tmp_path: Path, name: bytes
) -> None:
    place(tmp_path / "models", files("a.json"))
    shipped = place(tmp_path / "models", files("a.json", profile=name.decode()))
    settings = Settings(home=tmp_path / "home")
    _first_bundle(settings, PROFILE, tmp_path / "models")
    assert [entry.hash for entry in entries(settings.bundles_dir)] == [shipped.name]


def test_a_copy_of_it_that_ended_half_way_is_made_anew(tmp_path: Path) -> None:
    shipped = place(tmp_path / "models", files("a.json", profile=PROFILE.hash.decode()))
    settings = Settings(home=tmp_path / "home")
    (settings.bundles_dir / shipped.name).mkdir(parents=True)
    (settings.bundles_dir / shipped.name / "a.json").write_bytes(b"")
    _first_bundle(settings, PROFILE, tmp_path / "models")
    assert content(settings.bundles_dir / shipped.name) == content(shipped)
    assert (shipped / MANIFEST).exists()
