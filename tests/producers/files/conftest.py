from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.producers.running_api import Api, serve
from tidegate.profile import Profile, load_profile


@pytest.fixture
def profile() -> Profile:
    return load_profile("card")


@pytest.fixture
def api(profile: Profile, tmp_path: Path) -> Iterator[Api]:
    with serve(profile, tmp_path) as api:
        yield api
