"""Items made ahead are the same, in their order, and so is what is raised between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from model.files.ahead import ahead
from tidegate.errors import ConfigError


def test_the_items_come_in_their_order_made_by_one_other_thread() -> None:
    makers: set[threading.Thread] = set()

    def made() -> Iterator[int]:
        for number in range(100):
            makers.add(threading.current_thread())
            yield number

    assert list(ahead(made())) == list(range(100))
    assert len(makers) == 1
    assert threading.current_thread() not in makers


def test_no_more_than_one_is_made_ahead() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    items = ahead(numbers())
    assert [next(items), next(items)] == [0, 1]
    items.close()  # type: ignore[attr-defined]
    assert made == [0, 1, 2]


def test_what_is_raised_comes_behind_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ConfigError("row 2: it is broken")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(ConfigError, match="row 2"):
        next(items)
