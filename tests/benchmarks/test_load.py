"""The load generator outlives a server that closes connections which nobody uses."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from benchmarks.load import drive, render
from tests.support import answering

IDLE_SECONDS, RATE, POSTS = 0.3, 20, 20


class Impatient(BaseHTTPRequestHandler):
    """Takes every post, and waits no longer than that for the next on a connection."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_connection_closed_while_idle_is_opened_again() -> None:
    with answering(Impatient) as address:
        requests = [render(address + "/", b"{}")] * POSTS
        done = drive(address, requests, connections=2, rate=RATE)  # the second one stays idle
    assert done.statuses == {202: POSTS}
