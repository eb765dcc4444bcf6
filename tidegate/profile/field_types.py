"""The types of fields, each in one place.

A field of a profile is an object of its type's class, and the class's attributes are the options
that the profile may set. To add a type, write one class here, or in `number_types` if it holds
numbers, and put it into `TYPES`. Everything else asks the field: the check of the profile, the
decoder and what it says of bad values, the columns of features and histories, the readers of files,
the simulator, the line to try, and (by the annotation) the OpenAPI description.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import repeat
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tidegate.profile.currencies import EXPECTED, is_currency
from tidegate.profile.field import TOKEN_LENGTH, Field, is_token
from tidegate.profile.number_types import Integer, Money, Number, Vector
from tidegate.profile.spec import DAY, SECOND, Duration, Instant, Json

_LATEST = 7_258_118_400 * SECOND  # the year 2200
_UNIT_US = {
    "s": SECOND,
    "ms": 1000,
    "us": 1,
    "min": 60 * SECOND,
    "hours": 3600 * SECOND,
    "days": DAY,
}
_LEAST_SECONDS = 100_000_000  # March 1973
Unit = Literal["s", "ms", "us", "ns", "min", "hours", "days", "text"]
"""What numbers of a time count; `text`: there are none."""


class String(Field):
    """A text: an id, an account, an entity."""

    type = "string"
    is_text = True
    countable = True

    max_length: int = 128
    integers: bool = False
    """Whole numbers are taken as well."""

    def annotation(self) -> Json:
        most = max(self.max_length, TOKEN_LENGTH) if self.tokenised else self.max_length
        text = Annotated[str, Meta(min_length=1, max_length=most)]
        return text | int if self.integers else text

    def needs_look(self) -> bool:
        return self.integers or self.tokenised

    def fault(self, value: Json, _received_us: int) -> tuple[str, str] | None:
        if self.tokenised and isinstance(value, str) and self._too_long(value):
            return "out_of_bounds", f"expected at most {self.max_length} characters"
        if isinstance(value, str) and "\0" in value:
            return "out_of_bounds", "a NUL character is not allowed"
        if isinstance(value, int) and abs(value) >= 2**63:
            return "out_of_bounds", "expected a whole number of 63 bits"
        return None

    def _too_long(self, value: str) -> bool:
        """Where tokens are taken too, msgspec's bound is theirs."""
        return len(value) > self.max_length and not is_token(value)

    def example(self, chance: float, _time_us: int) -> Json:
        return f"{self.name}-{1 + int(chance * 1000)}"[-self.max_length :]


class Bool(Field):
    """True or false."""

    type = "bool"
    cells = "bool"
    is_number = True

    yes: list[str | int | bool] | None = None
    no: list[str | int | bool] | None = None
    """The words for true and for false in files."""

    def annotation(self) -> Json:
        return bool

    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def example(self, chance: float, _time_us: int) -> Json:
        return chance < 0.5


class Category(Field):
    """One of a few texts; its number is its place in `values`."""

    type = "category"
    countable = True

    values: list[str] = msgspec.field(default_factory=list)
    open: bool = False
    """Undeclared texts are taken as well, all with the number `len(values)`."""
    max_length: int = 128

    def problem(self) -> str:
        return "" if self.values else "a category needs `values`"

    def annotation(self) -> Json:
        if self.open:
            return Annotated[str, Meta(max_length=self.max_length)]
        return Literal[tuple(self.values)]

    def complaint(self, message: str) -> str:
        if message.startswith("Invalid enum value"):
            return f"expected one of {', '.join(self.values)}"
        return super().complaint(message)

    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def numbers(self, values: Iterable[Any]) -> list[Any]:
        codes: dict[Any, float] = {value: float(code) for code, value in enumerate(self.values)}
        codes[None] = float("nan")
        undeclared = float(len(self.values))
        return list(map(codes.get, values, repeat(undeclared)))

    def codes(self) -> Sequence[str]:
        return self.values

    def example(self, chance: float, _time_us: int) -> Json:
        return self.values[int(chance * len(self.values))]


class Currency(Category):
    """A code of ISO 4217, in capital letters; its number is its place in `values`.

    All codes are taken; those that `values` does not name have the number `len(values)`. Without
    `values` it fills no column.
    """

    type = "currency"

    def problem(self) -> str:
        unknown = [code for code in self.values if not is_currency(code)]
        if unknown:
            return f"no currencies of ISO 4217: {', '.join(unknown)}"
        return "" if not self.open else "a currency is always open: leave `open` out"

    def annotation(self) -> Json:
        return Annotated[str, Meta(pattern="^[A-Z]{3}$")]

    def complaint(self, message: str) -> str:
        return EXPECTED if "matching regex" in message else super().complaint(message)

    def needs_look(self) -> bool:
        return True

    def fault(self, value: Json, _received_us: int) -> tuple[str, str] | None:
        return None if is_currency(value) else ("out_of_bounds", EXPECTED)

    def columns(self) -> tuple[str, ...]:
        return super().columns() if self.values else ()

    def example(self, chance: float, time_us: int) -> Json:
        return super().example(chance, time_us) if self.values else "EUR"


class Time(Field):
    """A moment: ISO 8601 (UTC where it names no zone), or a number of `unit` since 1970 or `since`.

    `text` takes no numbers.
    """

    type = "time"
    cells = "time"

    unit: Unit | None = None
    """Seconds where the profile says nothing, and reads no envelope in which other units occur."""
    since: Instant | None = None
    """When numbers of `unit` begin to count."""
    zone: str | None = None
    """Of times in files that name none; UTC otherwise."""
    format: str | None = None
    """How files write the time, by the directives of `strptime`."""
    not_before: Instant = Instant(0)
    max_ahead: Duration = Duration(5 * 60 * SECOND)
    """How far after the record's own (ingest) time an event may be; windows hold as much."""

    def problem(self) -> str:
        if self.since is not None and self.unit in (None, "text"):
            return "`since` needs the `unit` of the numbers: s, ms, us, ns, min, hours or days"
        return ""

    def annotation(self) -> Json:
        return datetime if self.unit == "text" else datetime | int | float

    def needs_look(self) -> bool:
        return True

    def us(self, value: datetime | float) -> int:
        """Microseconds since 1970 of a JSON time. Raises ValueError.

        Where no `unit` says that they are seconds, small numbers are as likely dates (20260131), or
        counted from elsewhere.
        """
        if isinstance(value, datetime) or self.unit is not None:
            return time_us(value, self.unit or "s", self.since or 0)
        if 0 <= value < _LEAST_SECONDS:
            raise ValueError(
                "a number below 100,000,000 may be a date, or count from elsewhere: say under "
                "fields of the profile by `unit` and `since`, or by `format`, what it is"
            )
        return time_us(value)

    def fault(self, value: Json, received_us: int) -> tuple[str, str] | None:
        try:
            event_us = self.us(value)
        except ValueError as error:
            return "bad_time", str(error)
        if event_us < self.not_before:
            earliest = datetime.fromtimestamp(self.not_before / SECOND, UTC)
            return "bad_time", f"expected a time from {earliest.isoformat()} on"
        if received_us and event_us > received_us + self.max_ahead:
            here = datetime.fromtimestamp(received_us // SECOND, UTC).isoformat()
            ahead = f"more than {self.max_ahead // SECOND} s in the future"
            return "bad_time", f"the time is {ahead}: it came in at {here}"
        return None

    def example(self, _chance: float, time_us: int) -> Json:
        moment = datetime.fromtimestamp(max(time_us, self.not_before) // SECOND, UTC)
        return moment.isoformat().replace("+00:00", "Z")


TYPES: dict[str, type[Field]] = {
    kind.type: kind
    for kind in (String, Money, Number, Integer, Bool, Category, Currency, Time, Vector)
}
"""Every type, by its name in a profile."""


def time_us(value: datetime | float, unit: Unit = "s", since_us: int = 0) -> int:
    """Microseconds since 1970 of a JSON time; a time without zone is UTC. Raises ValueError.

    Numbers count from `since_us` on; whole numbers of a `unit` are exact.
    """
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * SECOND
    else:
        value = since_us + (value // 1000 if unit == "ns" else value * _UNIT_US[unit])
    if not 0 <= value <= _LATEST:
        raise ValueError("expected a time between 1970 and 2200")
    return round(value)
