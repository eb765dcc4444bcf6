"""How long-running work tells how far it has come."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Told the share done and what is done next."""
