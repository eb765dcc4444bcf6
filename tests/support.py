"""What several tests share."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from tidegate.settings import Settings
from tidegate.topics import load_topics

T = TypeVar("T")


def eventually(condition: Callable[[], T], timeout: float = 10.0, *, every: float = 0.05) -> T:
    """The first true result of `condition`; fails when there is none within `timeout` s."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {timeout} s: {getattr(condition, '__doc__', None) or condition!r}"
            )
        pause.wait(every)
    return result


def partitions(topic: str) -> int:
    """How many partitions topics.yaml gives a topic."""
    return next(one.partitions for one in load_topics(Settings().topics_file) if one.name == topic)


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of an HTTP server of the test's own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ask(
    method: str, port: int, path: str, body: bytes | None, *, timeout: float = 30, key: str = ""
) -> tuple[int, Any]:
    """Status (0: nobody answers) and document of a server of ours, which may ask for a key."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        link.request(method, path, body, headers)
        answer = link.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        link.close()
