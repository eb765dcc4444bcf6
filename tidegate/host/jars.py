"""The jars of Apache Kafka: a list with their SHA-256, fetched once into Maven's local repository.

`python -m tidegate.host.jars` fetches them. With `--list` it prints the list anew, as scripts/lock
keeps it in kafka.jars. jgo could follow the dependencies at every first start as well; but it takes
one file after the other, and only warns of a wrong checksum.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tidegate.errors import EXIT_CONFIG, ConfigError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

COORDINATES = "org.apache.kafka:kafka_2.13:4.3.1+org.slf4j:slf4j-simple:1.7.36"
LIST = Path(__file__).with_name("kafka.jars")
_CONNECTIONS = 8


class Jar(NamedTuple):
    """One line of the list."""

    sha256: str
    group: str
    name: str
    version: str


def classpath() -> str:
    """The Java class path of the broker. The first call downloads 46 jars; later ones read a file.

    Raises ConfigError when the jars cannot be had.
    """
    found = _remembered()
    if not found:
        with _locked():
            found = _remembered() or _fetch_all()
    return ":".join(map(str, found))


def present() -> bool:
    """Whether nothing is to be downloaded."""
    return bool(_remembered())


def cache_folder() -> Path:
    """Where the user's cache keeps what is made once for each machine."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"


def listed() -> list[Jar]:
    """The list, in the order of the class path."""
    lines = [line.split() for line in LIST.read_text("utf-8").splitlines()]
    return [Jar(digest, *coordinates.split(":")) for digest, coordinates in lines]


def _remembered() -> list[Path]:
    """Where the jars lie, as far as an earlier download is still whole; empty otherwise."""
    note = _note()
    jars = [Path(line) for line in note.read_text().splitlines()] if note.exists() else []
    return jars if all(jar.exists() for jar in jars) else []


def _note() -> Path:
    return cache_folder() / f"jars-{_sha256(LIST)[:8]}"


@contextmanager
def _locked() -> Iterator[None]:
    """Hold off other processes that would write the same files."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "jars.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch_all() -> list[Path]:
    import jgo  # 0.3 s, and only the first start needs it

    context = jgo.maven.MavenContext(repo_cache=jgo.config.GlobalSettings.load().repo_cache)
    try:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            jars = list(pool.map(partial(fetch, context), listed()))
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"the jars of Apache Kafka cannot be had from Maven Central ({error}): check the "
            "network, or name a Kafka of your own with --kafka HOST:PORT"
        ) from error
    _note().write_text("\n".join(map(str, jars)))
    return jars


def fetch(context: MavenContext, jar: Jar) -> Path:
    """Where it lies in the local repository, downloaded if need be.

    Raises ConfigError when what is there has another SHA-256.
    """
    artifact = context.project(jar.group, jar.name).at_version(jar.version).artifact()
    path = Path(artifact.resolve())
    if _sha256(path) != jar.sha256:  # a download that was cut off stays in the repository
        path.unlink()
        artifact.resolve()
        if _sha256(path) != jar.sha256:
            raise ConfigError(f"{path} is not the jar whose SHA-256 is in {LIST}")
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _resolve() -> Iterator[str]:
    """The lines of the list, from the dependencies of COORDINATES."""
    import jgo

    for jar in jgo.resolve(COORDINATES):
        yield f"{_sha256(Path(jar.resolve()))} {jar.groupId}:{jar.artifactId}:{jar.version}\n"


def main() -> int:
    """Returns the exit code: EXIT_CONFIG when the jars cannot be had, and stderr says why."""
    if sys.argv[1:] == ["--list"]:
        sys.stdout.writelines(_resolve())
        return 0
    try:
        classpath()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main())
