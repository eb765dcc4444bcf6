"""The real ingest application behind a real socket, on the broker in memory; it can be told to
misbehave.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from db.migrate import migrate
from db.store import Store
from producers.api.app import build_app, close_app
from tidegate import pipeline
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.pipeline import DLQ, FRAMES, RAW
from tidegate.profile import Profile
from tidegate.settings import Settings

TOPICS = dict.fromkeys(pipeline.TOPICS, 1) | dict.fromkeys((RAW, *FRAMES), 3) | {DLQ: 2}


class Quiet(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive, without a log."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's signature
        """Say nothing."""

    def connection_dropped(self, error: BaseException, environ: object = None) -> None:
        """Let the client see it."""
        self.close_connection = True


def _unheard(_status: str, _headers: object, _error: object = None) -> Callable[[bytes], object]:
    return len


@dataclass
class Api:
    """`faults` holds what to do with the next posts: "503", "drop before" or "drop after" (the
    records are durable).
    """

    url: str
    broker: MemoryBroker
    database: str
    faults: list[str] = field(default_factory=list)
    posts: int = 0


class Faulty:
    """WSGI middleware: misbehaves as `api.faults` says."""

    def __init__(self, app: Flask, api: Api) -> None:
        self._app, self._api = app, api

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(
            body
        )  # Granian ends the stream there, this server does not
        if environ["REQUEST_METHOD"] == "POST":
            self._api.posts += 1
            fault = self._api.faults.pop(0) if self._api.faults else ""
            if fault == "503":
                start("503 Service Unavailable", [("Content-Length", "2")])
                return [b"{}"]
            if fault == "drop before":
                raise ConnectionResetError
            if fault == "drop after":
                list(self._app(environ, _unheard))
                raise ConnectionResetError
        return self._app(environ, start)


@contextmanager
def serve(
    profile: Profile, home: Path, broker: MemoryBroker | None = None, **changed: str
) -> Iterator[Api]:
    """A running API with a migrated SQLite database in `home`, and settings."""
    database = f"sqlite:///{home / 'tidegate.db'}"
    migrate(database)
    broker = broker or MemoryBroker(TOPICS)
    settings = Settings(home=home, profile=str(profile.path), db=database, **changed)
    app = build_app(settings, broker, Store(database, profile), profile)
    api = Api("", broker, database)
    server = make_server("127.0.0.1", 0, Faulty(app, api), threaded=True, request_handler=Quiet)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        close_app(app)
