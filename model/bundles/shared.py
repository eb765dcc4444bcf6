"""Bundles that several machines share: under an fsspec URL, with a copy in each machine's folder.

A copy is made once: a bundle never changes. It is checked before it is kept: the manifest by the
bundle's name, every file by the manifest. Nothing in it is executed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import fsspec

from model.bundles.catalog import matches
from model.bundles.folder import is_whole, place
from model.bundles.manifest import (
    LARGEST,
    MANIFEST,
    damaged,
    decode_manifest,
    digest_of,
    hash_of,
    read_manifest,
)
from tidegate.errors import ConfigError, Retry, TidegateError

if TYPE_CHECKING:
    from tidegate.settings import Settings

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[0-9a-f]{16}")
_FILE = re.compile(r"\w[\w.-]*")


def local_bundles(settings: Settings) -> Path:
    """The machine's own folder of bundles, with a copy of all that are shared. Raises Retry."""
    if shared := shared_bundles(settings):
        shared.fetch_all()
    return settings.bundles_dir


def known_bundles(settings: Settings, prefix: str = "") -> Path:
    """The machine's own folder, with a copy of those shared bundles whose hash begins so.

    While they cannot be read it is the copies that were made before: what is here can be promoted.
    Raises Retry when a prefix is given and none of these begins with it.
    """
    if shared := shared_bundles(settings):
        try:
            shared.fetch_all(prefix)
        except Retry as error:
            if prefix and not matches(settings.bundles_dir, prefix):
                raise
            _LOG.warning("only the copies of bundles on this machine: %s", error)
    return settings.bundles_dir


def shared_bundles(settings: Settings) -> SharedBundles | None:
    """The bundles under the URL of TIDEGATE_BUNDLES; None where it names a folder.

    Raises ConfigError when the URL cannot be used.
    """
    if not settings.bundles_url:
        return None
    return SharedBundles(settings.bundles_url, settings.bundles_dir)


class SharedBundles:
    """The bundles under `url`, and the copies of them below `folder`."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url.rstrip("/"), folder
        try:
            self._files, self._root = fsspec.core.url_to_fs(self._url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"TIDEGATE_BUNDLES {url}: {error}") from error

    def fetch(self, name: str) -> None:
        """Have a copy of a bundle (hash) in the folder.

        Raises Retry when the URL does not answer or there is no room here, ConfigError when the
        bundle is not there or is not what its name says.
        """
        if not _NAME.fullmatch(name) or is_whole(self._folder / name):
            return  # whoever loads it says what is wrong with its name
        try:
            with self._asking():
                files = self._read(name)
        except FileNotFoundError as error:
            raise ConfigError(f"bundle {name} is not whole below {self._url}") from error
        try:
            place(self._folder, files)
        except OSError as error:
            raise Retry(f"bundle {name} cannot be copied: {error}") from error
        _LOG.info("copied bundle %s from %s", name, self._url)

    def fetch_all(self, prefix: str = "") -> None:
        """Have a copy of each bundle whose hash begins so; one that is damaged is left out, and
        logged. Raises Retry.
        """
        for name in [prefix] if _NAME.fullmatch(prefix) else self._names():
            if not name.startswith(prefix):
                continue
            try:
                self.fetch(name)
            except ConfigError as error:
                _LOG.warning("%s", error)

    def publish(self, name: str) -> None:
        """Write a bundle of the folder to the URL, unless it is there. Raises Retry, ConfigError.

        Its manifest comes last, so that others find all of it or nothing.
        """
        path, there = self._folder / name, f"{self._root}/{name}"
        with self._asking():
            if self._files.exists(f"{there}/{MANIFEST}"):
                return
            self._files.makedirs(there, exist_ok=True)
            for file in [*read_manifest(path).files, MANIFEST]:
                part = f"{there}/{file}.part"
                self._files.pipe_file(part, (path / file).read_bytes())
                self._files.mv(part, f"{there}/{file}")

    def _names(self) -> list[str]:
        try:
            with self._asking():  # `exists` would take a server that is away for an empty folder
                self._files.invalidate_cache()
                listed = self._files.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        names = (PurePosixPath(str(path)).name for path in listed)
        return sorted(name for name in names if _NAME.fullmatch(name))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Raises Retry for what keeps the URL from being read or written."""
        try:
            yield
        except (TidegateError, FileNotFoundError):
            raise
        except Exception as error:  # each kind of file system has errors of its own
            raise Retry(f"bundles at {self._url}: {type(error).__name__}: {error}") from error

    def _read(self, name: str) -> dict[str, bytes]:
        """The files of a bundle as it should be. Raises FileNotFoundError, ConfigError."""
        there = Path(f"{self._url}/{name}")
        manifest = self._content(name, MANIFEST)
        if (found := hash_of(manifest)) != name:
            raise damaged(there, f"manifest.json has the hash {found}, not the folder's name")
        files = {MANIFEST: manifest}
        for file, expected in decode_manifest(there, manifest).files.items():
            if not _FILE.fullmatch(file) or file == MANIFEST:
                raise damaged(there, f"{file!r} is no name of a file beside the manifest")
            files[file] = self._content(name, file)
            if digest_of(files[file]) != expected:
                raise damaged(there, f"{file} has not the SHA-256 that the manifest says")
        return files

    def _content(self, name: str, file: str) -> bytes:
        path = f"{self._root}/{name}/{file}"
        if (self._files.size(path) or 0) > LARGEST:
            raise damaged(Path(f"{self._url}/{name}"), f"{file} is larger than {LARGEST:,} bytes")
        content: Any = self._files.cat_file(path)
        return bytes(content)
