"""Detectors that do not come to an end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

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


def gate_of(kind: type[Detector]) -> Callable[[pytest.MonkeyPatch], Iterator[Gate]]:
    """A fixture: an open gate for a kind of detector, which is open again in the end."""

    @pytest.fixture
    def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
        made = Gate(monkeypatch, kind)
        yield made
        made.open()

    return gate
