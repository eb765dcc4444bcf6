"""The one way to compile a loop: cached on disk, without the GIL, without fast-math.

Fast-math would move bits. numba's cache follows the file of the function it compiles, but not the
files of the functions that this one calls. A state must never be folded by loops of another
version, so each content of `model` has a cache folder of its own.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def sources_digest(folder: Path) -> str:
    """Of all Python files below a folder, by name and content."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)} {len(content)} ".encode() + content)
    return digest.hexdigest()


def fresh(folder: Path, digest: str, kept: int = 4) -> Path:
    """The cache's folder for this content. When it is new, all but `kept` old ones are removed."""
    cache = folder / digest
    if not cache.exists():
        for old in sorted(folder.glob("[0-9a-f]" * len(digest)), key=_changed, reverse=True)[kept:]:
            shutil.rmtree(old, ignore_errors=True)  # another process may be at the same
    return cache


def _changed(path: Path) -> float:
    """When; 0 if another process has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


_HERE = Path(__file__).parent
_CONFIG: Any = numba.config
_CONFIG.CACHE_DIR = str(
    fresh(Path(_CONFIG.CACHE_DIR or _HERE / "__pycache__" / "compiled"), sources_digest(_HERE))
)


def jit(function: F) -> F:
    """Compile on first call; division by zero follows IEEE 754, not Python."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """The same, for what is called inside a loop: handing over arrays would cost more than the
    work that is done with them.
    """
    return cast(F, numba.njit(nogil=True, error_model="numpy", inline="always")(function))
