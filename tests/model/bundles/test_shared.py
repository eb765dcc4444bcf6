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
from model.bundles.folder import is_whole, place
from model.bundles.manifest import MANIFEST, Manifest, Training, digest_of, read_manifest
from model.bundles.shared import SharedBundles, known_bundles, local_bundles, shared_bundles
from tidegate.errors import ConfigError, Retry
from tidegate.settings import Settings


def files(*names: str, content: bytes = b"{}", profile: str = "a" * 16) -> dict[str, bytes]:
    """A bundle of these files."""
    manifest = Manifest(
        "card", profile, [], [], [], {}, Training("history", 0, 1, [1], [0]), {},
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


class Away(AbstractFileSystem):
    """A server that is not reached; its errors are its own."""

    protocol = "away"
    cachable = False

    def _answer(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - there is none
        raise RuntimeError("no endpoint")

    ls = info = cat_file = pipe_file = makedirs = _answer


def test_a_server_that_is_away_is_waited_for_and_not_taken_for_empty(tmp_path: Path) -> None:
    fsspec.register_implementation("away", Away, clobber=True)
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


@pytest.mark.parametrize("lacking", [MANIFEST, "a.json"])
def test_a_copy_that_ended_half_way_is_made_anew(
    tmp_path: Path, there: Path, published: str, lacking: str
) -> None:
    copies = tmp_path / "copies"
    place(copies, content(tmp_path / "trained" / published))
    (copies / published / lacking).unlink()
    source = shared(there, copies)
    source.fetch(published)
    assert content(copies / published) == content(there / published)
    assert [entry.hash for entry in entries(copies)] == [published], "what was half is no bundle"
    [aside] = copies.glob(f".{published}.half-*")
    assert lacking not in content(aside)
    (there / published / "a.json").unlink()
    source.fetch(published)  # now it is here


def test_a_manifest_that_was_cut_short_is_made_anew(
    tmp_path: Path, there: Path, published: str
) -> None:
    copies = tmp_path / "copies"
    (copies / published).mkdir(parents=True)
    (copies / published / MANIFEST).write_bytes((there / published / MANIFEST).read_bytes()[:20])
    shared(there, copies).fetch(published)
    assert is_whole(copies / published)


def test_a_disk_without_room_is_waited_for(
    tmp_path: Path, there: Path, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("model.bundles.folder._write", full)
    with pytest.raises(Retry, match="No space left on device"):
        shared(there, tmp_path / "copies").fetch(published)


def test_while_the_url_is_away_the_copies_can_still_be_named(tmp_path: Path) -> None:
    fsspec.register_implementation("away", Away, clobber=True)
    settings = Settings(home=tmp_path, bundles="away://bucket/bundles")
    assert known_bundles(settings) == settings.bundles_dir, "no copy yet, and none is asked for"
    copy = place(settings.bundles_dir, files("a.json"))
    for prefix in ("", copy.name[:4], copy.name):
        assert known_bundles(settings, prefix) == copy.parent
    for absent in ("zz", "0" * 16):
        with pytest.raises(Retry, match="no endpoint"):
            known_bundles(settings, absent)
    with pytest.raises(Retry):
        local_bundles(settings)


def test_only_what_is_named_is_copied(tmp_path: Path, there: Path, published: str) -> None:
    other = place(tmp_path / "trained", files("c.json"))
    shared(there, other.parent).publish(other.name)
    settings = Settings(home=tmp_path, bundles=f"file://{there}")
    assert entries(known_bundles(settings, published[:6])) == [
        entry for entry in entries(there) if entry.hash == published
    ]
    assert len(entries(known_bundles(settings))) == 2
