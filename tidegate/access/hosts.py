"""Where no key is asked for, a web page must not reach in: by which names requests may come.

A page on any web site may let its own name point to 127.0.0.1 (DNS rebinding). The browser then
takes this server for that site's, and says so: in Host, and in Origin.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_MOST = 1000
"""Names that are remembered to be known."""


def is_loopback(host: str) -> bool:
    """Whether an address to listen on, or a name that a client used, is this machine's own."""
    name = host.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Names:
    """The names of this machine, and `more` that a proxy before it has."""

    def __init__(self, more: tuple[str, ...] = ()) -> None:
        self._more = frozenset(name.lower() for name in more)
        self._known: set[str] = set()

    def foreign(self, environ: WSGIEnvironment) -> str:
        """What is wrong with Host or Origin of a request; empty when nothing is."""
        host = environ.get("HTTP_HOST", "")
        if host and host not in self._known:  # browsers always send one
            if not self._ours(host):
                return f"Host {host[:100]!r} is no name of this machine"
            if len(self._known) < _MOST:
                self._known.add(host)
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return f"a page of {origin[:100]!r} may not ask here"
        return ""

    def _ours(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        return is_loopback(name) or name.lower() in self._more
