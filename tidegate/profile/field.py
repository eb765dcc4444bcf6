"""One field of a transaction: what every type of field can be asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from tidegate.profile.spec import Json
from tidegate.words import plain

TOKEN_LENGTH = 36
"""Characters of a token that stands for a personal value."""
_TOKEN = re.compile(r"tok_[A-Za-z0-9_-]{32}")
Cells = Literal["text", "number", "bool", "time", "vector"]
"""How the cells of a file's column are read."""


def is_token(text: str) -> bool:
    """Whether a text looks like a token of `tidegate.profile.tokens`."""
    return _TOKEN.fullmatch(text) is not None


class Field(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The base of all types: a value that is kept, and fills no column unless its type says so."""

    type: ClassVar[str]
    """The type's name in a profile."""
    cells: ClassVar[Cells] = "text"
    is_text: ClassVar[bool] = False
    """Whether values are texts without bounds of their own: a NUL character is looked for."""
    is_number: ClassVar[bool] = False
    """Whether values are numbers already, so that `numbers` has nothing to do."""
    is_list: ClassVar[bool] = False
    """Whether a value fills several columns."""
    countable: ClassVar[bool] = False
    """Whether the operation `distinct` takes such a field."""

    name: str = ""
    optional: bool = False
    ignored: bool = False
    """Accepted and kept in the payload, but never an input of features or models."""
    personal: bool = False
    """A person's data: pages, lists and messages do not show the value."""
    store: Literal["value", "token"] = "value"
    """What is kept of a personal value: itself, or a token (`tidegate.profile.tokens`)."""
    column: str | list[str] | dict[str, str] | None = None
    """Where the field stands in a file, if not in the column of its name; of several columns a time
    is joined by a blank, a text by `|`, and money is what one is credited less what it is debited.
    """

    @property
    def tokenised(self) -> bool:
        """Whether a token takes the value's place."""
        return self.store == "token"

    def problem(self) -> str:
        """What is wrong with the declaration; "" when nothing is."""
        return ""

    def annotation(self) -> Json:
        """The annotation by which msgspec checks a present value and OpenAPI describes it."""
        raise NotImplementedError

    def complaint(self, message: str) -> str:
        """What msgspec says of a bad value, as people say it."""
        return plain(message)

    def needs_look(self) -> bool:
        """Whether `fault` has to see every value that msgspec accepts."""
        return False

    def fault(self, value: Json, received_us: int) -> tuple[str, str] | None:  # noqa: ARG002 - some types need them
        """Reason and message where a value is bad in a way that msgspec cannot see.

        `received_us` is the time of ingest, 0 if unknown.
        """
        return None

    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the field fills."""
        return ()

    def numbers(self, values: Iterable[Any]) -> list[Any]:
        """JSON values (None: missing) as the numbers of the column, or as lists of them."""
        return list(values)

    def codes(self) -> Sequence[str]:
        """The texts whose places are the column's numbers; empty where values are numbers."""
        return ()

    def places(self) -> int:
        """How many decimals are kept in sums over windows."""
        return 4

    def example(self, chance: float, time_us: int) -> Json:
        """A good value as JSON: `chance` in [0, 1) says which one, `time_us` when the event was."""
        raise NotImplementedError
