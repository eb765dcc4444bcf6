"""Webhooks against a real server, verified by the official package."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from tests.notify.receivers import ALL_ALERTS, SECRET, Receiver, config_of, hook, receiver
from tests.notify.tls import secured
from tidegate.notify.config import Channel
from tidegate.notify.events import Message
from tidegate.notify.sending import Undelivered
from tidegate.notify.webhook import Webhook

MESSAGE = Message(
    "msg_1", "alert", "Transaction t1 blocked", "lines", 1_767_225_600_000_000, b'{"score":0.97}'
)
OLD = "whsec_" + "b2xkLi4u" * 6


def channel(folder: Path, url: str, more: str = "", networks: str = "127.0.0.0/8") -> Channel:
    lines = hook("hook", url, more).replace("127.0.0.0/8", networks)
    return config_of(folder, "channels:\n" + lines + ALL_ALERTS).channels["hook"]


def test_the_official_package_verifies_it(tmp_path: Path) -> None:
    with receiver() as server:
        Webhook(channel(tmp_path, server.url)).send(MESSAGE)
        [(headers, body)] = server.requests
        assert Verifier(SECRET).verify(body, headers) == {
            "type": "alert",
            "timestamp": "2026-01-01T00:00:00Z",
            "subject": "Transaction t1 blocked",
            "data": {"score": 0.97},
        }
        assert headers["host"] == f"127.0.0.1:{server.port}"
        with pytest.raises(Exception, match="No matching signature"):
            Verifier(OLD).verify(body, headers)


def test_while_keys_change_both_verify_it(tmp_path: Path) -> None:
    with receiver() as server:
        Webhook(channel(tmp_path, server.url, f"    previous_secret: {OLD}\n")).send(MESSAGE)
        [(headers, body)] = server.requests
    for secret in (SECRET, OLD):
        assert Verifier(secret).verify(body, headers)["type"] == "alert"


def test_an_attempt_is_signed_anew_with_the_same_id(tmp_path: Path) -> None:
    now = time.time()
    with receiver() as server:
        for shift in (0, 60):
            Webhook(channel(tmp_path, server.url), clock=lambda at=now + shift: at).send(MESSAGE)
        first, second = (headers for headers, _ in server.requests)
        assert first["webhook-id"] == second["webhook-id"]
        assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
        assert first["webhook-signature"] != second["webhook-signature"]


def refused(server: Receiver, folder: Path, status: int, **headers: str) -> Undelivered:
    server.answers.append((status, headers))
    with pytest.raises(Undelivered) as caught:
        Webhook(channel(folder, server.url)).send(MESSAGE)
    return caught.value


def test_answers_that_refuse(tmp_path: Path) -> None:
    with receiver() as server:
        away = refused(server, tmp_path, 503, **{"Retry-After": "120"})
        assert (away.after_s, away.final) == (120, False)
        assert str(away).startswith("HTTP 503: thanks")
        assert len(str(away)) <= 220
        assert refused(server, tmp_path, 410).final
        assert refused(server, tmp_path, 400, **{"Retry-After": "soon"}).after_s == 0


def test_redirects_are_not_followed(tmp_path: Path) -> None:
    with receiver() as inner, receiver() as server:
        error = refused(server, tmp_path, 307, Location=inner.url)
        assert "redirects are not followed" in str(error)
        assert inner.requests == []


def test_loopback_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    with receiver() as server:
        with pytest.raises(Undelivered, match="a loopback address"):
            Webhook(channel(tmp_path, server.url, networks="10.0.0.0/8")).send(MESSAGE)
        assert server.requests == []


def test_a_name_is_resolved_once_and_the_connection_goes_where_it_was_checked(
    tmp_path: Path,
) -> None:
    """A DNS server that says a public address first and loopback next gains nothing."""
    answers = [["127.0.0.2"], ["127.0.0.1"]]
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    with receiver() as server:
        url = server.url.replace("127.0.0.1", "rebound.invalid")
        allowed = channel(tmp_path, url, networks="127.0.0.1/32")
        with pytest.raises(Undelivered, match=r"127\.0\.0\.2, a loopback address"):
            Webhook(allowed, resolve=resolve).send(MESSAGE)
        assert (asked, server.requests) == (["rebound.invalid"], [])
        Webhook(allowed, resolve=resolve).send(MESSAGE)
        [(headers, _)] = server.requests
        assert headers["host"] == f"rebound.invalid:{server.port}"


@pytest.mark.parametrize(("rest", "target"), [("", "/"), ("?token=x", "/?token=x")])
def test_an_address_without_a_path_is_asked_for_its_root(
    tmp_path: Path, rest: str, target: str
) -> None:
    with receiver() as server:
        url = f"http://127.0.0.1:{server.port}{rest}"
        Webhook(channel(tmp_path, url)).send(MESSAGE)
        assert server.targets == [target]


def test_a_host_in_other_letters_is_named_as_dns_names_it(tmp_path: Path) -> None:
    with receiver() as server:
        written = channel(tmp_path, f"http://日本.example:{server.port}/")
        Webhook(written, resolve=lambda _host, _port: ["127.0.0.1"]).send(MESSAGE)
        [(headers, _)] = server.requests
        assert headers["host"] == f"xn--wgv71a.example:{server.port}"


def test_nobody_answers(tmp_path: Path) -> None:
    with receiver() as server:
        url = server.url
    with pytest.raises(Undelivered, match="does not answer"):
        Webhook(channel(tmp_path, url)).send(MESSAGE)


@pytest.mark.processes
def test_the_certificate_is_that_of_the_name_not_of_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secured(tmp_path, "hooks.example") as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))

        def send(host: str) -> None:
            url = f"https://{host}:{server.port}/hooks"
            Webhook(channel(tmp_path, url), resolve=lambda _host, _port: ["127.0.0.1"]).send(
                MESSAGE
            )

        send("hooks.example")
        assert server.names == ["hooks.example"]
        assert len(server.bodies) == 1
        with pytest.raises(Undelivered, match=r"doesn't match|mismatch"):
            send("other.example")
        assert len(server.bodies) == 1


def test_the_body_says_the_same_at_each_attempt(tmp_path: Path) -> None:
    with receiver() as server:
        for _attempt in range(2):
            Webhook(channel(tmp_path, server.url)).send(MESSAGE)
        assert server.requests[0][1] == server.requests[1][1]
        assert json.loads(server.requests[0][1])["data"] == {"score": 0.97}
