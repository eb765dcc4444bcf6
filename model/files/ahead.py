"""The next part of a file is read while the one before is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")


class _End:
    """What comes after the last item."""


_END: Final = _End()


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items in their order, one of them made ahead, in a thread.

    What `items` raises is raised where that item would have come.
    """
    with ThreadPoolExecutor(1, "ahead") as executor:
        coming = executor.submit(_next, items)
        while not isinstance(item := coming.result(), _End):
            coming = executor.submit(_next, items)
            yield item


def _next(items: Iterator[T]) -> T | _End:
    return next(items, _END)
