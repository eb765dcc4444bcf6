"""A dry-run by `tidegate dry-run`, in a process of its own and within bounds.

The code of the stages is not the dashboard's, and what it loads would stay in memory.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import msgspec

from tidegate.dead_letters.judgement import Judgement

SECONDS, PATIENCE = 60.0, 5.0
"""Longest that a dry-run may take, and that another one waits for its turn: each that waits takes a
thread from who asks for something else.
"""
_one = threading.Lock()


def dry_run(place: str, edited: bytes | None = None) -> Judgement:
    """Judge the letter at PARTITION:OFFSET, or a mended copy of it."""
    if not _one.acquire(timeout=PATIENCE):
        return Judgement("not_known")
    try:
        command = [sys.executable, "-m", "cli", "dry-run", "--json"]
        if edited is not None:
            command += ["--record", "-"]
        done = subprocess.run(  # noqa: S603 - no shell, and the place stands behind `--`
            [*command, "--", place],
            input=edited or b"",
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Judgement("not_known")
    finally:
        _one.release()
    try:
        return msgspec.json.decode(done.stdout, type=Judgement)
    except msgspec.DecodeError:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return Judgement("not_known", detail=said[-1] if said else "")
