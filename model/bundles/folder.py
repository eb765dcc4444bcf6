"""Writing a bundle's folder: all of it or nothing, also when two processes do it at once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from model.bundles.manifest import MANIFEST, hash_of


def place(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files of one bundle, its manifest among them, below `folder`; their place there.

    What stands there already is left as it is. Raises OSError.
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
    """Another process may have been quicker: a folder that has files is never replaced."""
    try:
        if not path.exists():
            draft.rename(path)
    except OSError:
        if not path.exists():
            raise


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
