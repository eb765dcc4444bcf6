"""Webhooks as Standard Webhooks signs them, sent to an address that was checked."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

import msgspec
import stamina
import urllib3
from urllib3.exceptions import HTTPError

from tidegate.notify.config import Channel
from tidegate.notify.events import Message
from tidegate.notify.guard import Resolve, allowed_addresses, resolve
from tidegate.notify.sending import LONGEST_ERROR, Undelivered

_TIMEOUT = urllib3.Timeout(connect=5.0, read=10.0)
_GONE = 410
_WAIT = range(1, 86_401)
"""Seconds that a receiver may ask us to wait."""


class Webhook:
    """Sends to one channel's address. `clock` gives s."""

    def __init__(
        self,
        channel: Channel,
        *,
        resolve: Resolve = resolve,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._channel, self._resolve, self._clock = channel, resolve, clock
        self._url = urlsplit(channel.address)
        self._host = (self._url.hostname or "").encode("idna").decode()

    def send(self, message: Message) -> None:
        """POST it; a blip of the network is tried again at once. Raises Undelivered."""
        body = payload(message)
        for attempt in stamina.retry_context(on=_Blip, attempts=2, wait_initial=0.2, wait_max=0.5):
            with attempt:
                self._post(message.id, body)

    def _post(self, message_id: str, body: bytes) -> None:
        url, secure = self._url, self._url.scheme == "https"
        host, port = self._host, url.port or (443 if secure else 80)
        addresses = allowed_addresses(
            host, port, self._channel.networks, secure=secure, resolve=self._resolve
        )
        headers = signed(self._channel.secrets, message_id, int(self._clock()), body)
        headers["Host"] = f"{_literal(host)}:{url.port}" if url.port else _literal(host)
        failures: list[str] = []
        for address in addresses:
            with _pool(address, port, host, secure=secure) as pool:
                try:
                    _check(_answer(pool, url, headers, body))
                except urllib3.exceptions.NewConnectionError as error:
                    failures.append(str(error).partition(": ")[2])
                    continue
                except (HTTPError, OSError) as error:
                    raise _Blip(f"{host}: {type(error).__name__}: {error}") from error
                return
        raise _Blip(f"{host} does not answer: {'; '.join(failures)}")


class _Blip(Undelivered):
    """Nobody answered."""


def _pool(address: str, port: int, host: str, *, secure: bool) -> urllib3.HTTPConnectionPool:
    """Connections to the address alone, whatever the name means by now; the certificate is the
    name's.
    """
    literal = _literal(address)
    if not secure:
        return urllib3.HTTPConnectionPool(literal, port, timeout=_TIMEOUT, retries=False)
    return urllib3.HTTPSConnectionPool(
        literal,
        port,
        timeout=_TIMEOUT,
        retries=False,
        cert_reqs="CERT_REQUIRED",
        server_hostname=host,
        assert_hostname=host,
    )


def _literal(host: str) -> str:
    """A host as it stands in an address: one of IPv6 is in brackets there."""
    return f"[{host}]" if ":" in host else host


def _answer(
    pool: urllib3.HTTPConnectionPool, url: SplitResult, headers: dict[str, str], body: bytes
) -> tuple[int, str, str]:
    """Status, Retry-After, and the beginning of what the receiver said."""
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    answer = pool.urlopen(
        "POST", target, body, headers, redirect=False, preload_content=False, decode_content=False
    )
    try:
        said = answer.read(LONGEST_ERROR, decode_content=False)
    finally:
        answer.close()
    return answer.status, answer.headers.get("Retry-After", ""), said.decode("utf-8", "replace")


def _check(answer: tuple[int, str, str]) -> None:
    """Raises Undelivered for any status but 2xx."""
    status, after, said = answer
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise Undelivered(f"HTTP {status}: redirects are not followed")
    waits = int(after) if after.isdecimal() and len(after) < 6 else 0
    raise Undelivered(
        f"HTTP {status}: {said}", final=status == _GONE, after_s=waits if waits in _WAIT else 0
    )


def payload(message: Message) -> bytes:
    """The body: type, time and data, as Standard Webhooks recommends; and the line for people."""
    at = datetime.fromtimestamp(message.at_us / 1e6, UTC).isoformat().replace("+00:00", "Z")
    return msgspec.json.encode(
        {
            "type": message.kind,
            "timestamp": at,
            "subject": message.subject,
            "data": msgspec.Raw(message.data),
        }
    )


def signed(keys: Sequence[bytes], message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of a webhook, with a signature by each key."""
    content = f"{message_id}.{at_s}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": "tidegate",
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(signatures),
    }
