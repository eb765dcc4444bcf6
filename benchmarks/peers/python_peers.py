"""The peers in Python, each in a virtual environment of its own, and the tutorial's loop."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import jgo

from benchmarks.peers.contender import Peer
from tidegate.host.jars import cache_folder

_FOLDER = Path(__file__).parent
_CONNECTOR = ("org.apache.flink", "flink-sql-connector-kafka", "5.0.0-2.2")


def peers(leaves_out: str) -> list[Peer]:
    """All of them. The slow ones get a share of the transactions, so that a round ends."""
    return [
        Peer(
            "Quix Streams",
            [_python("quix"), "-m", "benchmarks.peers.quix_streams"],
            leaves_out,
            copies=2,
            share=0.25,
        ),
        Peer(
            "PyFlink",
            [_python("flink"), "-m", "benchmarks.peers.pyflink_job"],
            leaves_out,
            [str(_connector())],
            share=0.1,
        ),
        Peer(
            "tutorial loop",
            [sys.executable, "-m", "benchmarks.peers.tutorial_loop"],
            f"{leaves_out}, exactly once, durable windows",
            share=1 / 80,
        ),
    ]


def _python(name: str) -> str:
    """The interpreter of a virtual environment with what NAME.lock names, made once for each lock
    in the user's cache.
    """
    lock = _FOLDER / f"{name}.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:8]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder() / f"{name}-{digest}-python-{version}"
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = ["-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)]
        subprocess.run([str(python), *install], check=True)
        done.touch()
    return str(python)


def _connector() -> Path:
    """Flink's connector for Kafka, a jar that holds all that it needs."""
    group, name, version = _CONNECTOR
    context = jgo.maven.MavenContext(repo_cache=jgo.config.GlobalSettings.load().repo_cache)
    return Path(context.project(group, name).at_version(version).artifact().resolve())
