"""The outbox of the application that answers a request."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app

from db.notify.desk import Desk

_KEY = "tidegate.alerts"


def desk_in(app: Flask, made: Desk) -> None:
    """Give an application its outbox."""
    app.extensions[_KEY] = made


def desk_of(app: Flask) -> Desk:
    """That of an application."""
    return cast(Desk, app.extensions[_KEY])


def desk() -> Desk:
    """That of the application which answers this request."""
    return desk_of(current_app)
