"""Both web applications on the broker in memory, as the settings say, and keys for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

import dashboard.app
import producers.api.app
from db.keys import create
from db.migrate import migrate
from db.store import Store
from tests.producers.running_api import TOPICS
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.clock import now_us
from tidegate.profile import load_profile
from tidegate.settings import Settings


@contextmanager
def applications(home: Path, **settings: str) -> Iterator[tuple[Flask, Flask]]:
    """The API and the results pages, on one database."""
    made = Settings(home=home, **settings)
    migrate(made.db_url)
    profile, broker = load_profile(made.profile), MemoryBroker(TOPICS)
    store = Store(made.db_url, profile)
    api = producers.api.app.build_app(made, broker, store, profile)
    pages = dashboard.app.build_app(made, broker, store, profile)
    try:
        yield api, pages
    finally:
        producers.api.app.close_app(api)
        dashboard.app.close_app(pages)
        store.close()


def key(home: Path, name: str, *scopes: str, expires_us: int | None = None) -> str:
    """A new key in the database of that home."""
    return create(Settings(home=home).db_url, name, scopes, now_us(), expires_us)[1]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def requests(app: Flask) -> Sequence[tuple[str, str, str]]:
    """Endpoint, method and path of everything that can be asked of an application."""
    return [
        (rule.endpoint, method, path)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        for path in [rule.rule.replace("<", "").replace(">", "").replace("path:", "")]
    ]
