"""Which addresses Apprise knows."""

from __future__ import annotations

import apprise


def is_known(address: str) -> bool:
    """Whether Apprise makes anything of an address."""
    made = apprise.Apprise.instantiate(address, suppress_exceptions=True)
    return isinstance(made, apprise.NotifyBase)
