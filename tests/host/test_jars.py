"""The jars of Kafka, from a Maven repository of our own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from jgo.maven import MavenContext

from tidegate.errors import ConfigError
from tidegate.host.jars import COORDINATES, Jar, fetch, listed

WHOLE = b"PK: a jar"
PEBBLE = Jar(hashlib.sha256(WHOLE).hexdigest(), "org.pebble", "pebble", "1.0")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """Where the remote repository has the jar."""
    path = tmp_path / "remote/org/pebble/pebble/1.0/pebble-1.0.jar"
    path.parent.mkdir(parents=True)
    path.write_bytes(WHOLE)
    return path


@pytest.fixture
def context(tmp_path: Path) -> Iterator[MavenContext]:
    handler = partial(Quiet, directory=str(tmp_path / "remote"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    yield MavenContext(repo_cache=tmp_path / "local", remote_repos={"here": address})
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_jar_is_fetched_once(context: MavenContext, remote: Path) -> None:
    path = fetch(context, PEBBLE)
    assert path.read_bytes() == WHOLE
    remote.unlink()
    assert fetch(context, PEBBLE) == path


def test_what_an_interrupted_download_left_is_fetched_anew(
    context: MavenContext, remote: Path
) -> None:
    path = fetch(context, PEBBLE)
    path.write_bytes(WHOLE[:4])
    assert remote.exists()
    assert fetch(context, PEBBLE).read_bytes() == WHOLE


def test_another_jar_than_the_listed_one_is_refused(context: MavenContext, remote: Path) -> None:
    remote.write_bytes(b"PK: something else")
    with pytest.raises(ConfigError, match=r"pebble-1\.0\.jar is not the jar whose SHA-256 is in"):
        fetch(context, PEBBLE)


def test_the_list_begins_with_what_it_was_made_from() -> None:
    jars = listed()
    roots = [f"{jar.group}:{jar.name}:{jar.version}" for jar in jars]
    assert "+".join(roots[:2]) == COORDINATES
    assert len({(jar.group, jar.name) for jar in jars}) == len(jars)
