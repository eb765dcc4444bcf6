"""What a command or a job found that whoever runs the pipeline should hear of."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, omit_defaults=True):
    """A message on the topic operations, its key is `what`.

    `good`: nothing has to be done. `told` is a line for people, `detail` more of it.
    """

    what: Literal["retrained", "reconciliation_gap"]
    profile: str
    """The profile's hash."""
    at_us: int
    good: bool
    told: str
    detail: str = ""


decode_finding = msgspec.json.Decoder(Finding).decode
