"""Every table there is: importing this fills `metadata`."""

from __future__ import annotations

from db.cases import tables as cases
from db.tables import metadata

__all__ = ["cases", "metadata"]
