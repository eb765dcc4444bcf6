"""Every table there is: importing this fills `metadata`."""

from __future__ import annotations

from db.blocks import tables as blocks
from db.cases import tables as cases
from db.letter_groups import letter_groups
from db.notify import tables as notify
from db.policies import tables as policies
from db.tables import metadata

__all__ = ["blocks", "cases", "letter_groups", "metadata", "notify", "policies"]
