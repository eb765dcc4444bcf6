"""Bodies that are slow, in chunks, too large, or not ended: others are served meanwhile."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

from tests.web import JSON, Server, transaction

SLOW = 40
"""Callers at a time whose body does not come; a worker has 96 threads."""
PATH = "/v1/transactions"


def body(identity: str) -> bytes:
    return json.dumps(transaction(identity)).encode()


class Slow:
    """A caller that sends its body byte by byte."""

    def __init__(self, port: int, identity: str) -> None:
        self._left = body(identity)
        self._link = socket.create_connection(("127.0.0.1", port), 30)
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n"
        self._link.sendall(f"{head}Content-Length: {len(self._left)}\r\n\r\n".encode())

    def send(self, count: int) -> None:
        self._link.sendall(self._left[:count])
        self._left = self._left[count:]

    def finish(self) -> int:
        """Send the rest; the status of the answer."""
        self.send(len(self._left))
        answer = http.client.HTTPResponse(self._link)
        answer.begin()
        return answer.status

    def close(self) -> None:
        self._link.close()


def chunked(server: Server, chunks: Iterator[bytes]) -> int:
    """The status of a request that does not say how long it is."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        headers = {"Content-Type": JSON, "Transfer-Encoding": "chunked"}
        link.request("POST", PATH, chunks, headers, encode_chunked=True)
        return link.getresponse().status
    finally:
        link.close()


def test_others_are_served_while_bodies_are_slow_chunked_or_too_large(api: Server) -> None:
    with ExitStack() as stack:
        slow = [Slow(api.port, f"slow-{number}") for number in range(SLOW)]
        for caller in slow:
            stack.callback(caller.close)
        for turn in range(5):
            for caller in slow:
                caller.send(1)
            assert api.post(PATH, body(f"beside-{turn}")).status == 202
            halves = body(f"chunked-{turn}")
            assert chunked(api, iter([halves[:9], halves[9:]])) == 202
            assert api.post(PATH, b" " * 9_000_000).status == 413
            assert chunked(api, iter([b" " * 1_000_000] * 9)) == 413
            assert api.get("/healthz").status == 200
        assert [caller.finish() for caller in slow] == [202] * SLOW


def test_who_leaves_within_a_body_posts_nothing(api: Server) -> None:
    leaving = [Slow(api.port, f"left-{number}") for number in range(SLOW)]
    for caller in leaving:
        caller.send(20)
        caller.close()
    assert api.post(PATH, body("after-them")).status == 202
    assert api.get(f"{PATH}/left-0").status == 404
