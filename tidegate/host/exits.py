"""Why processes of a home folder are not running: kept in a file, for whoever asks later."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tidegate.clock import now_us
from tidegate.host.process import Child


class Exit(msgspec.Struct):
    """How a process ended last. `gave_up`: it is not started again (exit code 78)."""

    said: str
    gave_up: bool
    restarts: int
    time_us: int


_decode = msgspec.json.Decoder(dict[str, Exit]).decode


class Exits:
    """Writes down the exits of one `tidegate up`, which begins with none."""

    def __init__(self, home: Path) -> None:
        self._file = _file(home)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._exits: dict[str, Exit] = {}
        self._write()

    def note(self, child: Child) -> None:
        """Keep why a child ended, and forget it once the child runs again."""
        if child.phase in ("backoff", "refused"):
            self._exits[child.name] = Exit(
                child.cause, child.phase == "refused", child.restarts, now_us()
            )
        elif child.phase == "running":
            self._exits.pop(child.name, None)
        self._write()

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self._exits))
        part.replace(self._file)


def read_exits(home: Path) -> dict[str, Exit]:
    """The exits by process; empty where no supervisor has run, or its file is damaged."""
    try:
        return _decode(_file(home).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def _file(home: Path) -> Path:
    return home / "run" / "exits.json"
