"""What `make` calls before anything is installed: the choice of a Python, and uv in pip's place."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
METADATA = "Metadata-Version: 2.1\nName: pebble\nVersion: 1.0\n"
RECORD = "pebble-1.0.dist-info/RECORD"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An empty virtual environment with pip and uv in it."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    (tmp_path / "venv/bin/uv").symlink_to(Path(sys.executable).with_name("uv"))
    return tmp_path / "venv/bin/python"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package of one module, in a folder of its own."""
    files = {
        "pebble.py": b"WEIGHT = 7\n",
        "pebble-1.0.dist-info/METADATA": METADATA.encode(),
        "pebble-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    path = tmp_path / "wheels" / "pebble-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        lines = [f"{name},{digest(content)},{len(content)}\n" for name, content in files.items()]
        archive.writestr(RECORD, "".join(lines) + f"{RECORD},,\n")
    return path


def digest(content: bytes) -> str:
    code = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return "sha256=" + code.rstrip(b"=").decode()


def install(python: Path, lock: Path, pip_conf: str) -> subprocess.CompletedProcess[str]:
    """Install as `make` does, on a machine where pip's file names the only source of packages."""
    config = lock.with_name("pip.conf")
    config.write_text(pip_conf)
    plain = {name: os.environ[name] for name in os.environ if not name.startswith(("PIP_", "UV_"))}
    own = {"PIP_CONFIG_FILE": str(config), "UV_CACHE_DIR": str(lock.with_name("cache"))}
    return subprocess.run(
        [python, ROOT / "scripts/install.py", "--require-hashes", "-r", lock],
        env={**plain, **own},
        check=False,
        capture_output=True,
        text=True,
    )


def test_packages_come_from_where_pips_file_says(python: Path, wheel: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"pebble==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    done = install(python, lock, f"[install]\nno-index = true\nfind-links = {wheel.parent}\n")
    assert (done.returncode, done.stderr) == (0, "")
    subprocess.run([python, "-c", "import pebble; assert pebble.WEIGHT == 7"], check=True)


def test_another_package_than_the_locked_one_is_refused(
    python: Path, wheel: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"pebble==1.0 --hash=sha256:{'0' * 64}\n")
    done = install(python, lock, f"[global]\nno-index = true\nfind-links = {wheel.parent}\n")
    assert done.returncode
    assert "Hash mismatch for `pebble==1.0`" in done.stderr
    found = subprocess.run([python, "-c", "import pebble"], check=False, capture_output=True)
    assert b"No module named 'pebble'" in found.stderr


def fake(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def choose(*folders: Path) -> subprocess.CompletedProcess[str]:
    """What scripts/python says with these folders on the PATH, and no pyenv."""
    path, home = ":".join(map(str, folders)), str(folders[0])
    return subprocess.run(
        ["/bin/bash", ROOT / "scripts/python"],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": path, "PYENV_ROOT": home, "HOME": home},
    )


def test_a_python_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    fake(tmp_path / "shims", "python3.11", "echo 'pyenv: no python3.11' >&2; exit 127")
    fake(tmp_path / "shims", "python3.12", "exit 1")
    name = f"python3.{sys.version_info.minor}"
    real = fake(tmp_path / "bin", name, f'exec {sys.executable} "$@"')
    done = choose(tmp_path / "shims", tmp_path / "bin")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{real}\n", "")


def test_without_any_it_says_what_is_needed(tmp_path: Path) -> None:
    fake(tmp_path / "bin", "python3.12", f'exec {sys.executable} -I -c "raise SystemExit(1)"')
    done = choose(tmp_path / "bin")
    assert (done.returncode, done.stdout) == (1, "")
    assert "CPython 3.11 or 3.12 or 3.13" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_the_versions_of_pyproject_are_those_that_make_looks_for() -> None:
    project, script = (ROOT / "pyproject.toml").read_text(), (ROOT / "scripts/python").read_text()
    bounds = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', project)
    listed = re.search(r"\$\{\*:-([0-9. ]+)\}", script)
    assert bounds
    assert listed
    assert listed[1].split() == [f"3.{minor}" for minor in range(int(bounds[1]), int(bounds[2]))]
