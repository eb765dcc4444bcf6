"""A fetch that takes long, or for ever, does not hold who asks for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from model.bundles.fetching import Fetching, Loading
from model.bundles.folder import is_whole, place
from model.bundles.shared import SharedBundles
from tests.model.bundles.test_shared import files
from tests.support import eventually
from tidegate.errors import ConfigError


class Hanging(SharedBundles):
    """A URL that answers once it may."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self.may = threading.Event()

    def _content(self, name: str, file: str) -> bytes:
        self.may.wait()
        return super()._content(name, file)


def fetched(fetching: Fetching, name: str) -> bool:
    try:
        fetching.fetch(name)
    except Loading:
        return False
    return True


def test_a_url_that_hangs_holds_nobody(tmp_path: Path) -> None:
    there, copies = tmp_path / "there", tmp_path / "copies"
    late, next_one = (place(there, files(name)).name for name in ("a.json", "b.json"))
    here = place(copies, files("c.json")).name
    source = Hanging(f"file://{there}", copies)
    fetching = Fetching(source, wait=0.0)
    for name in (late, late, next_one):
        assert not fetched(fetching, name)
    assert fetched(fetching, here), "what is here is not asked for"
    source.may.set()
    eventually(lambda: fetched(fetching, next_one))
    assert is_whole(copies / late), "the one that was under way has come as well"


def test_what_a_fetch_raises_is_raised_and_tried_again(tmp_path: Path) -> None:
    made = files("a.json")
    source = SharedBundles(f"file://{tmp_path / 'there'}", tmp_path / "copies")
    fetching = Fetching(source)
    name = place(tmp_path / "made", made).name
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"bundle {name} is not whole"):
            fetching.fetch(name)
    place(tmp_path / "there", made)
    fetching.fetch(name)
    assert is_whole(tmp_path / "copies" / name)
