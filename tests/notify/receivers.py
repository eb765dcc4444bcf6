"""Real servers that take what the channels send, and what they are sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from tidegate.notify.config import Config, load_config
from tidegate.notify.events import Event

SECRET = "whsec_" + "c2VjcmV0" * 6
HOUR_US = 3_600_000_000


@dataclass(slots=True)
class Receiver:
    """An HTTP server on loopback. `answers` are the next ones' status and headers, then 200.

    `says` is every answer's body, `targets` what was asked for.
    """

    port: int = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    says: bytes = b"thanks " * 100
    targets: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.requests.append(
                ({name.lower(): text for name, text in self.headers.items()}, body)
            )
            made.targets.append(self.path)
            status, headers = made.answers.pop(0) if made.answers else (200, {})
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(made.says)))
            self.end_headers()
            self.wfile.write(made.says)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@dataclass(slots=True)
class Mailbox:
    """An SMTP server on loopback."""

    port: int = 0
    mails: list[Any] = field(default_factory=list)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: object, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content, policy=policy.default))
        return "250 OK"

    @property
    def address(self) -> str:
        return (
            f"mailto://127.0.0.1:{self.port}?from=tidegate@example.com&to=fraud@example.com"
            "&mode=insecure"
        )


@contextmanager
def mailbox(port: int) -> Iterator[Mailbox]:
    made = Mailbox(port)
    controller = Controller(made, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield made
    finally:
        controller.stop()


def config_of(folder: Path, text: str, **environment: str) -> Config:
    """What a file with this text says."""
    path = folder / "notify.yaml"
    path.write_text(text)
    return load_config(path, environment)


def hook(name: str, url: str, more: str = "") -> str:
    """A webhook's lines, allowed to reach loopback."""
    return (
        f"  {name}:\n    webhook: {url}\n    secret: {SECRET}\n"
        f"    allow_networks: [127.0.0.0/8]\n{more}"
    )


ALL_ALERTS = "routes:\n  - {events: [alert], channels: [hook]}\n"


def alert(number: int, /, **changes: Any) -> Event:  # noqa: ANN401 - any field's value
    """An event of an alert."""
    made = Event(
        f"alert/transactions.raw/0/{number}",
        "alert",
        f"Transaction t{number} blocked",
        f"account: u{number}\nscore: 0.97",
        1_000_000,
        {"transaction_id": f"t{number}"},
        f"u{number}",
        "block",
        0.97,
        120.0,
    )
    return made._replace(**changes)
