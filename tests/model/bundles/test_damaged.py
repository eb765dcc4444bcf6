"""A corpus of damaged and malicious bundles of every detector: each is refused, in words, and the
process lives on.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

import joblib
import msgspec
import numpy as np
import pytest

from model.bundles.bundle import Bundle
from model.bundles.manifest import read_manifest
from model.detectors.catalog import known
from model.detectors.isolation.growing import NODE
from tests.trained import Trained
from tidegate.errors import ConfigError

FILES = sorted({name for kind in known().values() for name in kind.files})


@pytest.fixture
def bundle(everything: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(everything.bundle.path, tmp_path / everything.bundle.hash))


def sealed(bundle: Path, name: str, content: bytes) -> Path:
    """The bundle with another file in it and every hash right, as somebody who means harm would
    make it.
    """
    (bundle / name).write_bytes(content)
    manifest = read_manifest(bundle)
    manifest.files[name] = hashlib.sha256(content).hexdigest()
    text = msgspec.json.encode(manifest)
    (bundle / "manifest.json").write_bytes(text)
    return bundle.rename(bundle.parent / hashlib.sha256(text).hexdigest()[:16])


class Harm:
    """Leaves a file behind when something unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


def test_all_of_them_load_and_score(everything: Trained, bundle: Path) -> None:
    values = everything.values[:500]
    again = Bundle.load(bundle)
    np.testing.assert_array_equal(again.score(values).final, everything.bundle.score(values).final)
    assert [detector.name for detector in again.detectors] == everything.profile.models.names
    assert set(everything.profile.models.names) == set(known())


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_a_wrong_hash(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{name} has the SHA-256 .* the manifest says"):
        Bundle.load(bundle)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump])
def test_pickles_are_never_loaded(
    bundle: Path, tmp_path: Path, name: str, dump: Callable[[object, IO[bytes]], object]
) -> None:
    mark, pickled = tmp_path / "harm", io.BytesIO()
    dump(Harm(mark), pickled)
    content = pickled.getvalue()
    with pytest.raises(ConfigError, match="fetch the bundle again"):
        Bundle.load(sealed(bundle, name, content))
    assert not mark.exists()


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_refused(bundle: Path, name: str) -> None:
    content = (bundle / name).read_bytes()
    with pytest.raises(ConfigError, match="fetch the bundle again"):
        Bundle.load(sealed(bundle, name, content[: len(content) // 2 + 1]))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "online.json/../../x", "..", "", "x\0y"]
)
def test_a_manifest_that_names_other_files_is_refused(bundle: Path, name: str) -> None:
    manifest = read_manifest(bundle)
    manifest.files[name] = manifest.files.pop("online.json")
    text = msgspec.json.encode(manifest)
    (bundle / "manifest.json").write_bytes(text)
    with pytest.raises(ConfigError, match="must list the files"):
        Bundle.load(bundle.rename(bundle.parent / hashlib.sha256(text).hexdigest()[:16]))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cut", np.nan),
        ("path", np.inf),
        ("column", 99),
        ("right", -5),
        ("right", 2**31 - 1),
        ("right", 0),
    ],
)
def test_isolation_trees_that_lead_elsewhere_are_refused(
    bundle: Path, field: str, value: float
) -> None:
    nodes = np.frombuffer((bundle / "isolation_forest.nodes").read_bytes(), NODE).copy()
    nodes[field][0] = value
    with pytest.raises(ConfigError, match="leads nowhere"):
        Bundle.load(sealed(bundle, "isolation_forest.nodes", nodes.tobytes()))


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("isolation_forest.json", "starts", [0, 2**62]),
        ("isolation_forest.json", "starts", [0]),
        ("isolation_forest.json", "starts", [0, 2**70]),
        ("isolation_forest.json", "roots", True),
        ("isolation_forest.json", "sample", 1),
        ("isolation_forest.json", "sample", 2**70),
        ("autoencoder.json", "inputs.columns", []),
        ("autoencoder.json", "inputs.columns", ["elsewhere"] * 8),
        ("vae.json", "inputs.medians", [0.0]),
        ("keras.json", "scaling.scale", [0.0] * 8),
        ("keras.json", "scaling.center", []),
        ("autoencoder.json", "ranks.measure", [1.0, 0.0]),
        ("vae.json", "ranks.odds", []),
        ("online.json", "params", [0.0]),
    ],
)
def test_numbers_that_do_not_fit_are_refused(
    bundle: Path, name: str, path: str, value: object
) -> None:
    document = msgspec.json.decode((bundle / name).read_bytes())
    place = document
    *above, last = path.split(".")
    for key in above:
        place = place[key]
    assert last in place
    place[last] = value
    with pytest.raises(ConfigError, match="fetch the bundle again"):
        Bundle.load(sealed(bundle, name, msgspec.json.encode(document)))


def test_a_file_of_nothing_but_brackets_is_refused(bundle: Path) -> None:
    with pytest.raises(ConfigError, match="fetch the bundle again"):
        Bundle.load(sealed(bundle, "vae.json", b"[" * 1_000_000))
