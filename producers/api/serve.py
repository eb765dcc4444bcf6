"""The ingest API's server process."""

from __future__ import annotations

from producers.api.app import create_app
from tidegate.host.wsgi import serve as serve_wsgi
from tidegate.settings import Settings

THREADS = 96
"""More than the 64 connections it is tuned for: callers that wait may hold 48 of the threads."""

DRAIN = 8
"""Seconds to finish what waits for Kafka; the supervisor gives 15."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM. The worker reads its settings from the environment."""
    serve_wsgi(create_app, settings.host, settings.port, threads=THREADS, drain=DRAIN)
