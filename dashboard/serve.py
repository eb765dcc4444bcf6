"""The dashboard's server process."""

from __future__ import annotations

from dashboard.app import create_app
from dashboard.stream import STREAMS
from tidegate.host.wsgi import serve as serve_wsgi
from tidegate.settings import Settings

THREADS = STREAMS + 16
"""One for each live page, and some for everything else."""

DRAIN = 1
"""Seconds; live pages never finish, and come back by themselves."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM. The worker reads its settings from the environment."""
    serve_wsgi(
        create_app,
        settings.host,
        settings.dashboard_port,
        threads=THREADS,
        drain=DRAIN,
    )
