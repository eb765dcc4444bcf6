"""An erasable profile, and what runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from db.migrate import migrate
from tests.access.personal_data import set_clock
from tests.access.web import applications
from tests.erasing.steps import ERASABLE, OPENED
from tests.profile.test_tokens import KEY, TOKEN, changed
from tidegate.profile import Profile
from tidegate.settings import Settings


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)
    return changed(tmp_path, TOKEN, ERASABLE)


@pytest.fixture
def apps(profile: Profile, tmp_path: Path) -> Iterator[tuple[Flask, Flask]]:
    with applications(tmp_path, profile=str(profile.path)) as both:
        set_clock(both[0].extensions["tidegate"].broker)
        yield both


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a database with tables."""
    made = Settings(home=tmp_path).db_url
    migrate(made)
    return made


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()
