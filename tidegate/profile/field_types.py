"""The types of fields, each in one place.

A field of a profile is an object of its type's class, and the class's attributes are the options
that the profile may set. To add a type, write one class here and put it into `TYPES`. Everything
else asks the field: the check of the profile, the decoder and what it says of bad values, the
columns of features and histories, the readers of files, the simulator, the line to try, and (by the
annotation) the OpenAPI description.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from tidegate.profile.field import Cells, Field
from tidegate.profile.spec import DAY, SECOND, Duration, Instant, Json
from tidegate.words import count

MONEY_LIMIT = 3_000_000_000
"""Largest amount in minor units: its square still fits 63 bits."""
_LATEST = 7_258_118_400 * SECOND  # the year 2200
_UNIT_US = {"s": SECOND, "ms": 1000, "us": 1, "days": DAY}
_EXACT = 2**53
_AMOUNT = r"^-?\d{1,15}(\.\d{1,15})?$"
Unit = Literal["s", "ms", "us", "ns", "days", "text"]
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
        text = Annotated[str, Meta(min_length=1, max_length=self.max_length)]
        return text | int if self.integers else text

    def needs_look(self) -> bool:
        return self.integers

    def fault(self, value: Json, _received_us: int) -> tuple[str, str] | None:
        if isinstance(value, str) and "\0" in value:
            return "out_of_bounds", "a NUL character is not allowed"
        if isinstance(value, int) and abs(value) >= 2**63:
            return "out_of_bounds", "expected a whole number of 63 bits"
        return None

    def example(self, chance: float, _time_us: int) -> Json:
        return f"{self.name}-{1 + int(chance * 1000)}"[-self.max_length :]


class Number(Field):
    """A number, or with `text` a text of one. `min` and `max` are inclusive.

    `decimal` and `scale` say how an envelope's record writes it where no schema does: base64 of the
    digits as bytes, with the point before the last `scale` of them.
    """

    type = "number"
    cells: ClassVar[Cells] = "double"
    is_number = True
    widest: ClassVar[tuple[float, float]] = (-1e12, 1e12)
    """The bounds where the profile sets none."""
    usual: ClassVar[float] = 1.0
    """The example, if the bounds allow it."""

    min: float | None = None
    max: float | None = None
    text: bool = False
    decimal: Literal["base64"] | None = None
    scale: int | None = None

    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value."""
        low = self.widest[0] if self.min is None else self.min
        high = self.widest[1] if self.max is None else self.max
        return low, high

    def problem(self) -> str:
        low, high = self.bounds()
        if low > high:
            return f"min {low} is greater than max {high}"
        if (self.decimal is None) != (self.scale is None):
            return "`decimal: base64` needs its `scale`, and a `scale` needs `decimal: base64`"
        if self.decimal and self.text:
            return "a text is either base64 or a number: `decimal` or `text`, not both"
        return ""

    def number(self) -> Json:
        """The annotation of a value that is a number in JSON."""
        low, high = self.bounds()
        return Annotated[float, Meta(ge=low, le=high)]

    def annotation(self) -> Json:
        number = self.number()
        return number | Annotated[str, Meta(pattern=_AMOUNT)] if self.text else number

    def complaint(self, message: str) -> str:
        if "matching regex" in message:
            return "expected an amount such as 12.50"
        if "got `str`" in message:
            return f"{super().complaint(message)}, which is taken only with `text: true`"
        return super().complaint(message)

    def needs_look(self) -> bool:
        return self.text

    def fault(self, value: Json, _received_us: int) -> tuple[str, str] | None:
        low, high = self.bounds()
        if isinstance(value, str) and not low <= float(value) <= high:
            return "out_of_bounds", f"expected a number from {low} to {high}"
        return None

    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def example(self, chance: float, _time_us: int) -> Json:
        low, high = self.bounds()
        least = min(max(self.usual, low), high)
        return min(max(round(least + 10 * chance, 2), low), high)


class Integer(Number):
    """A whole number that a float holds exactly."""

    type = "integer"
    cells: ClassVar[Cells] = "int64"
    widest = (-float(_EXACT), float(_EXACT))

    def number(self) -> Json:
        low, high = self.bounds()
        return Annotated[int, Meta(ge=int(low), le=int(high))]

    def example(self, chance: float, time_us: int) -> Json:
        return int(super().example(chance, time_us))


class Money(Number):
    """An amount; it and its bounds are in units, not in minor units."""

    type = "money"
    widest = (0.0, 10_000_000.0)
    usual = 12.5

    decimals: int = 2

    def problem(self) -> str:
        if not 0 <= self.decimals <= 6:
            return "expected 0 to 6 decimals"
        low, high = self.bounds()
        if max(-low, high) * 10**self.decimals > MONEY_LIMIT:
            return f"amounts may reach at most {MONEY_LIMIT:,} minor units: lower max, or decimals"
        return super().problem()

    def places(self) -> int:
        return self.decimals


class Bool(Field):
    """True or false."""

    type = "bool"
    cells = "bool"
    is_number = True

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
        return [codes.get(value, undeclared) for value in values]

    def codes(self) -> Sequence[str]:
        return self.values

    def example(self, chance: float, _time_us: int) -> Json:
        return self.values[int(chance * len(self.values))]


class Time(Field):
    """A moment: ISO 8601 (UTC where it names no zone), or a number of `unit` since 1970.

    `text` takes no numbers.
    """

    type = "time"
    cells = "time"

    unit: Unit | None = None
    """Seconds where the profile says nothing, and reads no envelope in which other units occur."""
    not_before: Instant = Instant(0)
    max_ahead: Duration = Duration(DAY)
    """How far after the record's own (ingest) time an event may claim to be."""

    def annotation(self) -> Json:
        return datetime if self.unit == "text" else datetime | int | float

    def needs_look(self) -> bool:
        return True

    def us(self, value: datetime | float) -> int:
        """Microseconds since 1970 of a JSON time. Raises ValueError."""
        return time_us(value, self.unit or "s")

    def fault(self, value: Json, received_us: int) -> tuple[str, str] | None:
        try:
            event_us = self.us(value)
        except ValueError as error:
            return "bad_time", str(error)
        if event_us < self.not_before:
            earliest = datetime.fromtimestamp(self.not_before / SECOND, UTC)
            return "bad_time", f"expected a time from {earliest.isoformat()} on"
        if received_us and event_us > received_us + self.max_ahead:
            return "bad_time", f"the time is more than {self.max_ahead // SECOND} s in the future"
        return None

    def example(self, _chance: float, time_us: int) -> Json:
        moment = datetime.fromtimestamp(max(time_us, self.not_before) // SECOND, UTC)
        return moment.isoformat().replace("+00:00", "Z")


class Vector(Number):
    """A list of numbers of a fixed length, each with a column of its own."""

    type = "vector"
    cells: ClassVar[Cells] = "json"
    is_number = False
    is_list = True
    usual = 0.0

    length: int = 0

    def problem(self) -> str:
        if not 1 <= self.length <= 4096:
            return "a vector needs a `length` of 1 to 4096"
        if self.text or self.decimal:
            return "a vector holds numbers, neither texts nor base64"
        return super().problem()

    def annotation(self) -> Json:
        numbers = list.__class_getitem__(super().annotation())
        return Annotated[numbers, Meta(min_length=self.length, max_length=self.length)]

    def complaint(self, message: str) -> str:
        if "of length" in message:
            return f"expected a list of {count(self.length, 'number')}"
        return super().complaint(message)

    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{place}" for place in range(self.length))

    def numbers(self, values: Iterable[Any]) -> list[Any]:
        if not self.optional:
            return list(values)
        missing = [float("nan")] * self.length
        return [missing if value is None else value for value in values]

    def example(self, chance: float, time_us: int) -> Json:
        return [super().example(chance, time_us)] * self.length


TYPES: dict[str, type[Field]] = {
    kind.type: kind for kind in (String, Money, Number, Integer, Bool, Category, Time, Vector)
}
"""Every type, by its name in a profile."""


def time_us(value: datetime | float, unit: Unit = "s") -> int:
    """Microseconds since 1970 of a JSON time; a time without zone is UTC. Raises ValueError.

    Whole numbers of a `unit` are exact.
    """
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * SECOND
    else:
        value = value // 1000 if unit == "ns" else value * _UNIT_US[unit]
    if not 0 <= value <= _LATEST:
        raise ValueError("expected a time between 1970 and 2200")
    return round(value)
