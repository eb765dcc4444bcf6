"""The peers in Python: Quix Streams in an environment of its own, and the tutorial's loop."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.contender import Peer
from tidegate.host.jars import cache_folder

_LOCK = Path(__file__).with_name("quix.lock")


def peers(leaves_out: str) -> list[Peer]:
    """Both. The tutorial's loop gets an eightieth of the transactions: it is that much slower."""
    return [
        Peer(
            "Quix Streams",
            [str(_quix_python()), "-m", "benchmarks.peers.quix_streams"],
            leaves_out,
            copies=2,
            share=0.25,
        ),
        Peer(
            "tutorial loop",
            [sys.executable, "-m", "benchmarks.peers.tutorial_loop"],
            f"{leaves_out}, exactly once, durable windows",
            share=1 / 80,
        ),
    ]


def _quix_python() -> Path:
    """The interpreter of a virtual environment with what the lock names, made once for each lock
    in the user's cache.
    """
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:8]
    folder = cache_folder() / f"quix-{digest}-python-{sys.version_info.major}{sys.version_info[1]}"
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = ["-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(_LOCK)]
        subprocess.run([str(python), *install], check=True)
        done.touch()
    return python
