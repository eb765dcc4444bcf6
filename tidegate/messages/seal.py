"""The head of the audit, as it stands on the topic `audit`."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Seal(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The audit's newest entry when this was written: its number, and its hash in hexadecimal."""

    seq: Annotated[int, msgspec.Meta(ge=1)]
    hash: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


decode_seal = msgspec.json.Decoder(Seal).decode
