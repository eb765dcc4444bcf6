"""What can be read only once, standard input and pipes, kept as files that are read again."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tidegate.errors import ConfigError

STDIN = "-"
"""How standard input is named on a command line."""
_STDIN_NAME = "standard input"


def name_of(place: str) -> str:
    """What to call a place in sentences."""
    return _STDIN_NAME if place == STDIN else place


def is_stream(place: str) -> bool:
    """Whether it is no file that can be read twice, such as the output of another program."""
    path = Path(place)
    return place == STDIN or path.is_fifo() or path.is_char_device()


@contextmanager
def as_files(sources: Sequence[Path]) -> Iterator[list[Path]]:
    """The same files, with copies for those that are streams; the copies go away afterwards.

    Raises ConfigError for what cannot be read. Any ConfigError names a stream as the user does.
    """
    copies: dict[Path, str] = {}
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        try:
            yield [_as_file(source, Path(folder), copies) for source in sources]
        except ConfigError as error:
            message = str(error)
            for copy, name in copies.items():
                message = message.replace(str(copy), name)
            raise ConfigError(message) from error


def _as_file(source: Path, folder: Path, copies: dict[Path, str]) -> Path:
    if not is_stream(str(source)):
        return source
    name = name_of(str(source))
    copy = folder / str(len(copies)) / Path(name).name
    copies[copy] = name
    copy.parent.mkdir()
    try:
        with copy.open("wb") as file:
            if str(source) == STDIN:
                shutil.copyfileobj(sys.stdin.buffer, file)
            else:
                with source.open("rb") as pipe:
                    shutil.copyfileobj(pipe, file)
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror or error}") from error
    return copy
