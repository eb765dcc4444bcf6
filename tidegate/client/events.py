"""Server-sent events (WHATWG HTML, section 9.2) out of the lines of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Event(NamedTuple):
    """One event. `id` is the last that was sent, with it or before it."""

    id: str
    kind: str
    data: str


class EventReader:
    """Reads one stream after the other; `last_id` is where to resume, also where nothing was told
    since.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id

    def read(self, lines: Iterable[bytes]) -> Iterator[Event]:
        """The events; a last one without its blank line is none."""
        kind, data, last_id = "", list[str](), self.last_id
        for raw in lines:
            name, _, value = raw.decode().rstrip("\r\n").partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif not name and not value and raw.strip() == b"":
                self.last_id = last_id
                if data:
                    yield Event(last_id, kind or "message", "\n".join(data))
                kind, data = "", []
