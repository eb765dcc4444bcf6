"""Ids in paths, for API and dashboard: they are other people's, with slashes wherever they like."""

from __future__ import annotations

from urllib.parse import quote

from werkzeug.routing import BaseConverter, Map


class IdConverter(BaseConverter):
    """`<id:name>` in a route: any text without NUL, which PostgreSQL does not take.

    werkzeug's `path` takes no slash at the beginning.
    """

    part_isolating = False
    regex = r"[^\0]+?"
    weight = 200

    def to_url(self, value: str) -> str:
        """The id as one segment."""
        return quote(value, safe="")


def take_ids(routes: Map) -> None:
    """Know `<id:name>`, and redirect nobody from `//a` to `/a`, which is another id."""
    routes.converters["id"] = IdConverter
    routes.merge_slashes = False
