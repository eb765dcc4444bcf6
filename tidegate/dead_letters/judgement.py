"""What would become of a dead letter that is put back."""

from __future__ import annotations

from typing import Literal

import msgspec

ATTEMPTS = 5
"""One that has failed so often goes to the quarantine, unless somebody says otherwise."""
Outcome = Literal["passes", "fails", "passed_over", "repeat", "waits", "quarantined", "not_known"]


class Judgement(msgspec.Struct, frozen=True):
    """`reason` and `detail` say why it would fail or be passed over, would fail if it waits in
    vain, or why it is not known; `id` is that of the transaction, and `moved` the one that it had
    before the edit.
    """

    outcome: Outcome
    reason: str = ""
    detail: str = ""
    id: str = ""
    moved: str = ""
