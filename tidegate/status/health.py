"""What a process tells the world: /metrics, /healthz, /readyz, and heartbeats on `status`."""

from __future__ import annotations

import json
import logging
import os
import platform
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tidegate import metrics
from tidegate.broker.ports import Producer
from tidegate.clock import now_us
from tidegate.errors import ConfigError, TidegateError
from tidegate.messages.documents import encode
from tidegate.messages.heartbeats import Drift, Heartbeat, Prepared
from tidegate.pipeline import STATUS
from tidegate.stream.progress import Progress

_LOG = logging.getLogger(__name__)
_GLANCE = 0.1
"""Seconds between two looks at whether the process is ready."""


class Health:
    """A process's vital signs; those of its loop, not only of the thread that tells them.

    `progress` is asked at every beat, `models` for the bundle and its models offset, `drift` for
    what a stage that watches it has to say, `refused` for the champion or policy that cannot be
    loaded, `prepared` for the bundle that is loaded for a promotion, and `policy` for the version
    of the policy in force.
    """

    def __init__(
        self,
        process: str,
        stage: str,
        producer: Producer,
        progress: Callable[[], Progress],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        restarts: int = 0,
        models: Callable[[], tuple[str, int]] = lambda: ("", -1),
        drift: Callable[[], Drift | None] = lambda: None,
        refused: Callable[[], str] = lambda: "",
        prepared: Callable[[], Prepared | None] = lambda: None,
        policy: Callable[[], str] = lambda: "",
        every: float = 1.0,
    ) -> None:
        """Listens at once; port 0 is any free one. Raises ConfigError when the port is taken."""
        self._process, self._stage, self._producer, self._every = process, stage, producer, every
        self._progress, self._models, self._drift = progress, models, drift
        self._refused, self._prepared, self._policy = refused, prepared, policy
        self._restarts = restarts
        self._used = time.monotonic(), time.process_time()
        try:
            self._server = ThreadingHTTPServer((host, port), self._handler())
        except OSError as error:
            raise ConfigError(
                f"port {port} of {host}: {error.strerror}; set TIDEGATE_METRICS_PORT"
            ) from error
        self.port = self._server.server_port
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, name="health-http", daemon=True),
            threading.Thread(target=self._beat, name="heartbeat", daemon=True),
        ]

    def start(self) -> Health:
        for thread in self._threads:
            thread.start()
        return self

    def close(self) -> None:
        """Say good-bye and stop answering. The producer stays open: it is the caller's."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(5)
        self._send(stopping=True)
        self._producer.flush(2)

    def heartbeat(self, *, stopping: bool = False) -> Heartbeat:
        """What the process says of itself now."""
        progress, (bundle, models_offset) = self._progress(), self._models()
        return Heartbeat(
            process=self._process,
            stage=self._stage,
            pid=os.getpid(),
            host=platform.node(),
            partitions=progress.partitions,
            restored=progress.ready,
            lag=progress.lag,
            processed=progress.processed,
            rejected=progress.rejected,
            restarts=self._restarts,
            bundle=bundle,
            models_offset=models_offset,
            metrics_port=self.port,
            time_us=now_us(),
            stopping=stopping,
            drift=self._drift(),
            refused=self._refused(),
            held=progress.held,
            restoring=progress.restoring,
            prepared=self._prepared(),
            policy=self._policy(),
            batch=progress.batch,
            side_lag=progress.side_lag,
            busy=self._busy(),
        )

    def _busy(self) -> float:
        """Processors that this process kept busy since it was asked last."""
        before, self._used = self._used, (time.monotonic(), time.process_time())
        passed = self._used[0] - before[0]
        return round((self._used[1] - before[1]) / passed, 3) if passed > 0 else -1.0

    def _beat(self) -> None:
        """Every second, and at once when the process has become ready, no longer is, or has an
        answer to a promotion.
        """
        ready, prepared, due = None, self._prepared(), 0.0
        while not self._stop.wait(_GLANCE):
            now_ready, now_prepared = self._progress().ready, self._prepared()
            changed = now_ready != ready or now_prepared != prepared
            if changed or time.monotonic() >= due:
                if ready and not now_ready:
                    self._explain(self._progress())
                ready, prepared, due = now_ready, now_prepared, time.monotonic() + self._every
                self._send()

    def _explain(self, progress: Progress) -> None:
        """Say so when readiness ended because the loop stands still."""
        if progress.restored:
            metrics.READY.labels(self._stage).set(0)
            still = progress.pulse.still_seconds
            _LOG.error("the loop of %s has stood still for %.0f s", self._stage, still)

    def _send(self, *, stopping: bool = False) -> None:
        try:
            self._producer.produce(
                STATUS,
                self._process.encode(),
                encode(self.heartbeat(stopping=stopping)),
                _log_failure,
            )
        except TidegateError as error:
            _log_failure(error)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        health = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = health.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                _LOG.debug(format, *args)

        return Handler

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body for a path."""
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest()
        if path not in ("/healthz", "/readyz"):
            return HTTPStatus.NOT_FOUND, "text/plain", b"try /metrics, /healthz, /readyz\n"
        progress = self._progress()
        ready = progress.ready
        good = progress.healthy if path == "/healthz" else ready
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        body = {"process": self._process, "stage": self._stage, "ready": ready}
        return status, "application/json", json.dumps(body).encode()


def _log_failure(error: Exception | None) -> None:
    if error is not None:
        _LOG.warning("heartbeat not sent: %s", error)
