"""Detectors that do not come to an end."""

from __future__ import annotations

import threading

import pytest

from model.detectors.base import Array, Detector


class Gate:
    """While it is closed, a kind of detector does not end with what it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[Detector]) -> None:
        self.calls, self._open, real = 0, threading.Event(), kind.score
        self._open.set()

        def score(part: Detector, x: Array) -> Array:
            self.calls += 1
            assert self._open.wait(60), "nobody opened the gate"
            return real(part, x)

        monkeypatch.setattr(kind, "score", score)

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()
