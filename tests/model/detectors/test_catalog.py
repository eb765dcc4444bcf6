from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from model.detectors.catalog import check_installed, known, trained_by
from model.detectors.packages import EXTRAS
from tidegate.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def test_a_detector_has_the_name_that_profiles_use() -> None:
    assert {name: kind.name for name, kind in known().items()} == {name: name for name in known()}


def test_a_detector_needs_an_extra_that_there_is() -> None:
    assert {kind.extra for kind in known().values()} == {None, *EXTRAS}
    assert trained_by("neural") == {"autoencoder", "lstm_autoencoder", "vae", "keras"}


@pytest.mark.processes
def test_a_look_up_imports_that_detector_alone() -> None:
    code = (
        "import sys; from model.detectors.catalog import known; known()['online'];"
        "print(*(name for name in sys.modules if name.startswith('model.detectors.')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "model.detectors.online" in loaded.stdout.split()
    assert not re.search("trees|neural|isolation", loaded.stdout)


def test_the_page_on_profiles_describes_every_detector() -> None:
    page = (ROOT / "docs/profiles.md").read_text()
    table = page.split("| model | learns from labels |")[1].split("\n\n")[0]
    described = dict(re.findall(r"^\| `(\w+)` \| (yes|no)", table, re.MULTILINE))
    assert described == {name: "yes" if kind.supervised else "no" for name, kind in known().items()}


def test_a_missing_package_is_named_with_all_detectors_that_need_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    check_installed(["lightgbm", "no_such_detector"])
    with pytest.raises(
        ConfigError, match=r"training keras, vae needs TensorFlow: run `make neural`"
    ):
        check_installed(["vae", "keras", "lightgbm"])
