"""Files that are read at once, and how large they may be."""

from __future__ import annotations

from pathlib import Path

from tidegate.errors import ConfigError


def whole(path: Path, most: int) -> bytes:
    """The content. Raises ConfigError for more than `most` bytes."""
    if path.stat().st_size > most:
        raise ConfigError(f"{path}: larger than {most >> 20} MB, and read at once: split it")
    return path.read_bytes()
