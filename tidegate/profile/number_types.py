"""The types of fields that hold numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from tidegate.profile.currencies import MOST_DECIMALS, minor_units
from tidegate.profile.field import Cells, Field
from tidegate.profile.spec import Json
from tidegate.words import count

MONEY_LIMIT = 10**15
"""Largest amount in minor units: a float of its units still tells it from its neighbours."""
NARROW_LIMIT = 3_000_000_000
"""Largest amount in minor units whose square fits 63 bits."""
_EXACT = 2**53
_AMOUNT = r"^-?\d{1,16}(\.\d{1,15})?$"


class Number(Field):
    """A number, or with `text` a text of one. `min` and `max` are inclusive.

    `decimal` and `scale` say how an envelope's record writes it where no schema does: base64 of the
    digits as bytes, with the point before the last `scale` of them.
    """

    type = "number"
    cells: ClassVar[Cells] = "number"
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
    decimal_mark: str | None = None
    thousands: str | None = None
    """What stands in files before the decimals, and between groups of digits."""

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
    widest = (-float(_EXACT), float(_EXACT))

    def number(self) -> Json:
        low, high = self.bounds()
        return Annotated[int, Meta(ge=int(low), le=int(high))]

    def example(self, chance: float, time_us: int) -> Json:
        return int(super().example(chance, time_us))


class Money(Number):
    """An amount; it and its bounds are in units, not in minor units.

    `currency` names the field with its currency, whose decimals it then has.
    """

    type = "money"
    widest = (0.0, 10_000_000.0)
    usual = 12.5

    decimals: int = 2
    minor: bool = False
    """Files hold minor units: 1234 is 12.34."""
    currency: str = ""

    def problem(self) -> str:
        if not 0 <= self.decimals <= 6:
            return "expected 0 to 6 decimals"
        if self._most(0 if self.currency else self.decimals) > MONEY_LIMIT:
            return f"amounts may reach at most {MONEY_LIMIT:,} minor units: lower max, or decimals"
        return super().problem()

    def places(self) -> int:
        return MOST_DECIMALS if self.currency else self.decimals

    def _most(self, decimals: int) -> float:
        """The largest amount, whatever its sign, in minor units."""
        low, high = self.bounds()
        return max(-low, high) * 10.0**decimals

    @property
    def wide(self) -> bool:
        """Whether an amount may be so large that windows need more words for its sums."""
        return self._most(self.places()) > NARROW_LIMIT

    def amount_fault(self, value: Json, code: str) -> str:
        """What is wrong with a present amount in the currency `code`; "" when nothing is."""
        places = minor_units(code)
        unit = 10.0**places
        minor = round(float(value) * unit)
        if abs(minor) > MONEY_LIMIT:
            return f"expected at most {MONEY_LIMIT:,} minor units of its currency"
        if minor / unit != float(value):
            return f"expected at most {count(places, 'decimal')}, as its currency has"
        return ""

    def example(self, chance: float, time_us: int) -> Json:
        amount = super().example(chance, time_us)
        return float(round(amount)) if self.currency else amount


class Vector(Number):
    """A list of numbers of a fixed length, each with a column of its own."""

    type = "vector"
    cells: ClassVar[Cells] = "vector"
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
