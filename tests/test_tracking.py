"""An MLflow server that is not there, or is something else. A real one gets a run in `make compose-test`."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tests.support import answering
from tidegate.cli.tracking import Tracker
from tidegate.embedded import free_port
from tidegate.errors import ConfigError, Retry


class _Teapot(BaseHTTPRequestHandler):
    """A server that is no MLflow."""

    def do_GET(self) -> None:
        self.send_error(418, "short and stout")

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def teapot() -> Iterator[str]:
    with answering(_Teapot) as address:
        yield address


def test_nobody_answers() -> None:
    with pytest.raises(Retry, match="TIDEGATE_MLFLOW: nobody answers"):
        Tracker(f"http://127.0.0.1:{free_port()}", "tidegate-card")


@pytest.mark.parametrize("address", ["mlflow", "file:///tmp/mlruns", "http://"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_MLFLOW is not an HTTP address"):
        Tracker(address, "tidegate-card")


def test_another_server(teapot: str) -> None:
    with pytest.raises(ConfigError, match="the server answered 418"):
        Tracker(teapot, "tidegate-card")
