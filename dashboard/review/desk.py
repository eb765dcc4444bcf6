"""The parts of the pages for review that belong to the application."""

from __future__ import annotations

from typing import NamedTuple, cast

from flask import Flask, current_app

from db.cases.desk import Desk
from db.cases.reading import CaseReader
from tidegate.settings import Settings

_KEY = "tidegate.review"


class Room(NamedTuple):
    """Where cases are worked on, and where they are read."""

    desk: Desk
    reader: CaseReader

    def close(self) -> None:
        """Close both."""
        self.desk.close()
        self.reader.close()


def room_in(app: Flask, settings: Settings) -> None:
    """Make it part of the application."""
    reader = CaseReader(settings.db_read_url, settings.db_read_seconds)
    app.extensions[_KEY] = Room(Desk(settings.db_url), reader)


def room_of(app: Flask) -> Room:
    """That of an application."""
    return cast(Room, app.extensions[_KEY])


def room() -> Room:
    """That of the application that answers this request."""
    return room_of(current_app._get_current_object())  # type: ignore[attr-defined]
