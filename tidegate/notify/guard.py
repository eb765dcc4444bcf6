"""Where a webhook may go: to no private network, unless the configuration names it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from tidegate.notify.config import Network
from tidegate.notify.sending import Undelivered

Resolve = Callable[[str, int], Sequence[str]]
"""Host and port to addresses."""
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"), ip_network("2002::/16"))
"""Addresses of IPv6 behind which any address of IPv4 may stand."""


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, as the machine prefers them. Raises Undelivered."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Undelivered(f"{host} has no address: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def allowed_addresses(
    host: str, port: int, networks: Sequence[Network], *, secure: bool, resolve: Resolve = resolve
) -> list[str]:
    """The addresses to connect to: resolved once, every one of them checked.

    Without TLS (not `secure`) only addresses of the `networks` are allowed. Raises Undelivered.
    """
    addresses = [_unmapped(text) for text in resolve(host, port)]
    if not addresses:
        raise Undelivered(f"{host} has no address")
    for address in addresses:
        if any(address in network for network in networks):
            continue
        if why := _fault(address):
            raise Undelivered(
                f"{host} is at {address}, {why}: refused unless `allow_networks` names its network"
            )
        if not secure:
            raise Undelivered(
                f"http:// is refused unless `allow_networks` names the network of {address}"
            )
    return [str(address) for address in addresses]


def _unmapped(text: str) -> IPv4Address | IPv6Address:
    """An address; the one of IPv4 that one of IPv6 wraps."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _fault(address: IPv4Address | IPv6Address) -> str:
    """Why nobody should connect to an address; "" for a public one."""
    faults = {
        "an unspecified address": address.is_unspecified,
        "a loopback address": address.is_loopback,
        "a link-local address": address.is_link_local,
        "a multicast address": address.is_multicast,
        "a translated address": any(address in network for network in _TRANSLATED),
        "a private or reserved address": not address.is_global
        or (isinstance(address, IPv6Address) and address.is_site_local),
    }
    return next((words for words, holds in faults.items() if holds), "")
