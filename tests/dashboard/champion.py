"""A champion for the running dashboard."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.dashboard.conftest import Site
from tests.support import eventually
from tests.trained import Trained
from tests.web import produce
from tidegate.messages.documents import Champion, encode
from tidegate.pipeline import MODELS


def crown(site: Site, bundle: Path) -> None:
    """The bundle lies where the dashboard looks, and the topic says that it is champion."""
    shutil.copytree(bundle, home(site) / "bundles" / bundle.name, dirs_exist_ok=True)
    profile = site.profile.hash.decode()
    produce(site.broker, MODELS, encode(Champion(bundle.name, profile, time.time_ns() // 1000)))
    eventually(lambda: is_champion(site, bundle.name), 10)


def home(site: Site) -> Path:
    return Path(site.server.env["TIDEGATE_HOME"])


def is_champion(site: Site, bundle: str) -> bool:
    champion = site.server.get("/models.json").json()["champion"]
    return champion is not None and champion["bundle"] == bundle


@pytest.fixture
def crowned(site: Site, trained: Trained) -> Site:
    """The dashboard, while the trained bundle is champion."""
    crown(site, trained.bundle.path)
    return site
