from __future__ import annotations

import copy
import shutil
from pathlib import Path

import msgspec
import pytest

from model.bundles.bundle import Bundle
from model.bundles.catalog import differences, entries, find, promotable
from tests.trained import Trained
from tidegate.errors import ConfigError


def test_bundles_are_listed_and_a_damaged_one_says_so(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "bundles"
    shutil.copytree(trained.bundle.path, folder / trained.bundle.hash)
    shutil.copytree(trained.bundle.path, folder / "0123456789abcdef")
    good, bad = entries(folder)
    assert (good.hash, good.fault) == (trained.bundle.hash, "")
    assert (bad.hash, bad.manifest) == ("0123456789abcdef", None)
    assert "not the folder's name" in bad.fault
    assert entries(tmp_path / "none") == []


def test_a_prefix_finds_one_bundle_or_names_all(trained: Trained) -> None:
    folder = trained.bundle.path.parent
    assert find(folder, trained.bundle.hash[:6]).hash == trained.bundle.hash
    with pytest.raises(ConfigError, match=trained.bundle.hash):
        find(folder, "zz")


def test_only_a_bundle_of_this_profile_version_is_promotable(trained: Trained) -> None:
    profile, bundle = trained.profile, trained.bundle

    def of(name: str) -> Bundle:
        manifest = msgspec.structs.replace(bundle.manifest, profile_hash=name)
        return Bundle(bundle.path, bundle.hash, manifest, bundle.detectors, bundle.ensemble)

    promotable(bundle, profile)
    promotable(of(profile.version.decode()), profile)  # as the version of Tidegate before named it
    with pytest.raises(ConfigError, match="ffffffff"):
        promotable(of("ffffffff"), profile)


def test_differences_name_both_sides(trained: Trained) -> None:
    manifest = trained.bundle.manifest
    assert differences(manifest, manifest) == {}
    other = copy.deepcopy(manifest)
    other.features = [*manifest.features[1:], "new"]
    other.metrics["auc"] = 0.5
    changes = differences(manifest, other)
    assert changes[f"feature {manifest.features[0]}"] == ("yes", None)
    assert changes["feature new"] == (None, "yes")
    assert changes["metric auc"][1] == 0.5
