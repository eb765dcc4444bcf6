"""Writing a bundle's folder: all of it or nothing, also when two processes do it at once.

A folder that is not whole, from a copy that ended half way, is set aside as `.NAME.half-...`.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from model.bundles.manifest import MANIFEST, hash_of, read_manifest
from tidegate.errors import ConfigError

_LOG = logging.getLogger(__name__)


def is_whole(path: Path) -> bool:
    """Whether all files of a bundle are in its folder; what is in them is for `Bundle.load`."""
    try:
        return all((path / name).exists() for name in read_manifest(path).files)
    except ConfigError:
        return False


def place(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files of one bundle, its manifest among them, below `folder`; their place there.

    A whole bundle that stands there already is left as it is. Raises OSError.
    """
    path = folder / hash_of(files[MANIFEST])
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder))
    try:
        draft.chmod(0o755)
        for name, content in files.items():
            _write(draft / name, content)
        _rename(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return path


def _rename(draft: Path, path: Path) -> None:
    """Another process may have been quicker: a whole folder is never replaced."""
    try:
        if path.exists() and not is_whole(path):
            _set_aside(path)
        if not path.exists():
            draft.rename(path)
    except OSError:
        if not is_whole(path):
            raise


def _set_aside(path: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.half-", dir=path.parent))
    path.rename(aside)  # it takes the place of the empty folder
    _LOG.warning("bundle %s was not whole and is made anew; it is kept as %s", path, aside.name)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
