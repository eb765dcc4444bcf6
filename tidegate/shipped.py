"""What comes with Tidegate: topics.yaml and profiles/. Files of the working folder go first."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
FOLDER = _HERE / "shipped" if (_HERE / "shipped").exists() else _HERE.parent
"""In an installed wheel beside this module; in a checkout, and in the containers, its root."""


def find(path: Path) -> Path:
    """`path` if there is such a file, else the shipped one of that name if there is one."""
    shipped = FOLDER / path
    return shipped if shipped.exists() and not path.exists() else path
