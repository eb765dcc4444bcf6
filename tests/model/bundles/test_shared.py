"""Bundles under a URL: copied, checked, and never half there."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import pytest
from fsspec.spec import AbstractFileSystem

from model.bundles.catalog import entries
from model.bundles.folder import place
from model.bundles.manifest import MANIFEST, Manifest, Training, digest_of, read_manifest
from model.bundles.shared import SharedBundles, local_bundles, shared_bundles
from tidegate.errors import ConfigError, Retry
from tidegate.settings import Settings


def files(*names: str, content: bytes = b"{}") -> dict[str, bytes]:
    """A bundle of these files."""
    manifest = Manifest(
        "card", "a" * 16, [], [], [], {}, Training("history", 0, 1, [1], [0]), {},
        {name: digest_of(content) for name in names}, 1,
    )  # fmt: skip
    return dict.fromkeys(names, content) | {MANIFEST: msgspec.json.encode(manifest)}


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


@pytest.fixture
def published(tmp_path: Path, there: Path) -> str:
    """A bundle of two files under the URL; its hash."""
    path = place(tmp_path / "trained", files("a.json", "b.json"))
    SharedBundles(f"file://{there}", path.parent).publish(path.name)
    return path.name


def shared(there: Path, folder: Path) -> SharedBundles:
    return SharedBundles(f"file://{there}", folder)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_is_copied_once_and_equals_what_was_published(
    tmp_path: Path, there: Path, published: str
) -> None:
    source = shared(there, tmp_path / "copies")
    source.fetch(published)
    copy = tmp_path / "copies" / published
    assert content(copy) == content(tmp_path / "trained" / published) == content(there / published)
    (there / published / "a.json").unlink()
    source.fetch(published)  # what is here is not asked for
    source.fetch_all()
    assert [path.name for path in (tmp_path / "copies").iterdir()] == [published]


def test_publishing_again_writes_nothing(tmp_path: Path, there: Path, published: str) -> None:
    before = (there / published / MANIFEST).stat().st_mtime_ns
    shared(there, tmp_path / "trained").publish(published)
    assert (there / published / MANIFEST).stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["a.json", MANIFEST])
def test_what_is_not_what_the_manifest_says_is_never_kept(
    tmp_path: Path, there: Path, published: str, name: str
) -> None:
    (there / published / name).write_bytes(b'{"changed": 1}')
    source, copies = shared(there, tmp_path / "copies"), tmp_path / "copies"
    with pytest.raises(ConfigError, match=f"{published}.*(SHA-256|hash)"):
        source.fetch(published)
    source.fetch_all()  # the others are still to be had
    assert entries(copies) == []


@pytest.mark.parametrize("name", ["../outside.json", "/outside.json", MANIFEST, "", "..", "a\0"])
def test_a_file_beside_its_folder_is_refused(tmp_path: Path, there: Path, name: str) -> None:
    made = files("a.json")
    document = json.loads(made[MANIFEST])
    document["files"] = {name: digest_of(b"{}")}
    made[MANIFEST] = json.dumps(document).encode()
    path = place(there, made)
    with pytest.raises(ConfigError, match="no name of a file"):
        shared(there, tmp_path / "copies").fetch(path.name)
    assert not (tmp_path / "copies").exists()


def test_a_bundle_that_is_still_being_written_is_not_there_yet(
    tmp_path: Path, there: Path, published: str
) -> None:
    (there / published / MANIFEST).rename(there / published / "manifest.json.part")
    with pytest.raises(ConfigError, match=f"bundle {published} is not whole"):
        shared(there, tmp_path / "copies").fetch(published)
    shared(there, tmp_path / "trained").publish(published)
    shared(there, tmp_path / "copies").fetch(published)
    assert read_manifest(tmp_path / "copies" / published).profile == "card"


def test_two_that_copy_at_once_leave_one_whole_copy(
    tmp_path: Path, there: Path, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one does all of its work while the first is between two files."""
    first, second = (shared(there, tmp_path / "copies") for _ in range(2))
    read = first._content

    def overtaken(name: str, file: str) -> bytes:
        second.fetch(published)
        return read(name, file)

    monkeypatch.setattr(first, "_content", overtaken)
    first.fetch(published)
    assert content(tmp_path / "copies" / published) == content(there / published)
    assert [path.name for path in (tmp_path / "copies").iterdir()] == [published]


def test_many_that_copy_at_once_all_have_it(tmp_path: Path, there: Path, published: str) -> None:
    faults: list[BaseException] = []
    start = threading.Barrier(8)

    def copy() -> None:
        start.wait()
        try:
            shared(there, tmp_path / "copies").fetch(published)
        except BaseException as error:  # noqa: BLE001 - shown below
            faults.append(error)

    threads = [threading.Thread(target=copy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [path.name for path in (tmp_path / "copies").iterdir()] == [published]


class _Away(AbstractFileSystem):
    """A server that is not reached; its errors are its own."""

    protocol = "away"
    cachable = False

    def _answer(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - there is none
        raise RuntimeError("no endpoint")

    ls = info = cat_file = pipe_file = makedirs = _answer


def test_a_server_that_is_away_is_waited_for_and_not_taken_for_empty(tmp_path: Path) -> None:
    fsspec.register_implementation("away", _Away, clobber=True)
    path = place(tmp_path / "bundles", files("a.json"))
    source = SharedBundles("away://bucket/bundles", tmp_path / "bundles")
    for call in (
        source.fetch_all,
        lambda: source.publish(path.name),
        lambda: source.fetch("0" * 16),
    ):
        with pytest.raises(Retry, match=r"away://bucket/bundles: RuntimeError: no endpoint"):
            call()


def test_a_url_that_cannot_be_used_says_why() -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_BUNDLES nothing://x"):
        SharedBundles("nothing://x", Path())


def test_the_setting_is_a_folder_or_a_url(tmp_path: Path, there: Path, published: str) -> None:
    plain = Settings(home=tmp_path, bundles=str(there))
    assert (shared_bundles(plain), local_bundles(plain)) == (None, there)
    url = Settings(home=tmp_path / "home", bundles=f"file://{there}")
    assert local_bundles(url) == tmp_path / "home" / "bundles"
    assert [entry.hash for entry in entries(local_bundles(url))] == [published]
