"""A load generator for loopback: keep-alive connections, requests rendered beforehand, one thread.

It costs far less CPU per request than a client library, because it shares two cores with the server
it measures.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


def render(
    url: str, body: bytes, content_type: str = "application/json", *, key: str = ""
) -> bytes:
    """One HTTP/1.1 POST as bytes, which shows a key if there is one."""
    address = urlsplit(url)
    shown = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"{shown}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class _Connection:
    socket: socket.socket
    buffer: bytes = b""
    busy: bool = False


@dataclass
class LoadResult:
    """What came back: answers by status, the seconds to the last answer, when it began (us since
    1970).
    """

    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    began_us: int = 0

    @property
    def accepted(self) -> int:
        return self.statuses.get(202, 0)


def _complete(buffer: bytes) -> tuple[int, bytes] | None:
    """Status and rest of the buffer once it holds a whole answer with Content-Length."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = buffer[:end].lower()
    _, header, rest = head.partition(b"content-length:")
    length = int(rest.split(b"\r\n", 1)[0]) if header else 0
    if len(buffer) < end + 4 + length:
        return None
    return int(buffer[9:12]), buffer[end + 4 + length :]


def drive(
    url: str,
    requests: Sequence[bytes],
    *,
    connections: int,
    rate: float | None = None,
    timeout: float = 120.0,
) -> LoadResult:
    """Send all requests over `connections` sockets; `rate` a second (open loop) or as fast as
    answers come. A connection that the server closes because it is idle is opened again.

    Raises TimeoutError when the answers do not come in `timeout` s, ConnectionError when the server
    closes a connection instead of answering.
    """
    address = urlsplit(url)
    selector = selectors.DefaultSelector()
    pool = []
    result = LoadResult()
    server = address.hostname or "127.0.0.1", address.port or 80
    for _ in range(connections):
        connection = _Connection(_opened(server))
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        pool.append(connection)
    result.began_us = time.time_ns() // 1000
    queue = iter(requests)
    answered = 0
    started = time.perf_counter()
    sent = _fill(pool, queue, 0, _due(rate, started, len(requests)))
    while answered < len(requests):
        if time.perf_counter() - started > timeout:
            raise TimeoutError(
                f"{len(requests) - answered} of {len(requests)} requests have no answer"
            )
        for key, _ in selector.select(0.001 if rate else 1.0):
            if not key.data.busy:  # nothing was asked, so the server takes its leave
                selector.unregister(key.data.socket)
                key.data.socket.close()
                key.data.socket = _opened(server)
                selector.register(key.data.socket, selectors.EVENT_READ, key.data)
                continue
            answered += _receive(key.data, result)
        sent = _fill(pool, queue, sent, _due(rate, started, len(requests)))
    result.seconds = time.perf_counter() - started
    for connection in pool:
        connection.socket.close()
    selector.close()
    return result


def _opened(server: tuple[str, int]) -> socket.socket:
    """A connection that sends at once."""
    link = socket.create_connection(server)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def _due(rate: float | None, started: float, total: int) -> int:
    return total if rate is None else min(total, int((time.perf_counter() - started) * rate) + 1)


def _fill(pool: Sequence[_Connection], queue: Iterator[bytes], sent: int, due: int) -> int:
    for connection in pool:
        if sent >= due:
            break
        if not connection.busy and (request := next(queue, None)) is not None:
            connection.socket.sendall(request)
            connection.busy = True
            sent += 1
    return sent


def _receive(connection: _Connection, result: LoadResult) -> int:
    chunk = connection.socket.recv(65536)
    if not chunk:
        raise ConnectionError("the server closed a connection")
    connection.buffer += chunk
    answer = _complete(connection.buffer)
    if answer is None:
        return 0
    status, connection.buffer = answer
    connection.busy = False
    result.statuses[status] = result.statuses.get(status, 0) + 1
    return 1
