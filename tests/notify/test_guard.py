"""Where webhooks may go."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tidegate.notify.guard import allowed_addresses, resolve
from tidegate.notify.sending import Undelivered


def asked(*addresses: str, networks: tuple[str, ...] = (), secure: bool = True) -> list[str]:
    return allowed_addresses(
        "hooks.example",
        443,
        [ip_network(network) for network in networks],
        secure=secure,
        resolve=lambda _host, _port: addresses,
    )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104 - nobody listens there
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_no_address_of_a_private_network(address: str) -> None:
    with pytest.raises(Undelivered, match="refused unless `allow_networks` names its network"):
        asked(address)
    with pytest.raises(Undelivered):
        asked("93.184.215.14", address)
    wide = ("0.0.0.0/0", "::/0")
    assert asked(address, networks=wide)


def test_public_addresses_and_those_that_are_named() -> None:
    assert asked("93.184.215.14", "2606:2800:21f:cb07::1") == [
        "93.184.215.14",
        "2606:2800:21f:cb07::1",
    ]
    assert asked("10.20.0.5", networks=("10.20.0.0/16",)) == ["10.20.0.5"]
    assert asked("::ffff:10.20.0.5", networks=("10.20.0.0/16",)) == ["10.20.0.5"]
    with pytest.raises(Undelivered):
        asked("10.21.0.5", networks=("10.20.0.0/16",))


def test_without_tls_only_where_a_network_is_named() -> None:
    with pytest.raises(Undelivered, match="http:// is refused"):
        asked("93.184.215.14", secure=False)
    assert asked("10.20.0.5", networks=("10.20.0.0/16",), secure=False)


def test_a_name_that_means_nothing() -> None:
    with pytest.raises(Undelivered, match="has no address"):
        asked()
    with pytest.raises(Undelivered, match="has no address"):
        resolve("nowhere.invalid", 443)
