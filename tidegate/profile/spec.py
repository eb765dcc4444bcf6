"""What a profile may say of features, history and models, as structs that msgspec checks."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec

from tidegate.profile.thresholds import Thresholds

SECOND = 1_000_000
_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}
DAY = _UNITS["d"]
Json = Any
"""What YAML or JSON held: nothing is known of it before it is converted."""


SECTIONS = frozenset(
    {
        "id",
        "account",
        "time",
        "money",
        "entities",
        "label_delay",
        "fields",
        "features",
        "models",
        "exclude",
        "thresholds",
        "history",
        "file",
        "envelope",
        "updates",
        "unknown_fields",
        "ids",
        "remember",
        "sources",
        "erasable",
        "rules",
    }
)
"""What a profile is made of."""


class Duration(int):
    """Microseconds, written as `30s`, `5m`, `1h` or `7d`."""

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Raises ValueError."""
        found = re.fullmatch(r"(\d{1,6})([smhd])", text) if isinstance(text, str) else None
        if found is None or int(found[1]) == 0:
            raise ValueError(f"expected a duration such as 1h, got {text!r}")
        return cls(int(found[1]) * _UNITS[found[2]])


class Instant(int):
    """Microseconds since 1970 (UTC), written as an ISO 8601 date or time."""

    @classmethod
    def parse(cls, text: object) -> Instant:
        """Raises ValueError."""
        if isinstance(text, date) and not isinstance(text, datetime):
            text = datetime(text.year, text.month, text.day, tzinfo=UTC)
        if isinstance(text, datetime):
            aware = text if text.tzinfo else text.replace(tzinfo=UTC)
            return cls(round(aware.timestamp() * SECOND))
        raise ValueError(f"expected a date such as 2020-01-31, got {text!r}")


class Size(int):
    """Bytes, written as `64MB` (a MB is 2^20 bytes); 1MB to 1024MB."""

    @classmethod
    def parse(cls, text: object) -> Size:
        """Raises ValueError."""
        found = re.fullmatch(r"(\d{1,4})MB", text) if isinstance(text, str) else None
        if found is None or not 1 <= int(found[1]) <= 1024:
            raise ValueError(f"expected a size from 1MB to 1024MB such as 64MB, got {text!r}")
        return cls(int(found[1]) << 20)


def hook(kind: type, value: Json) -> Json:
    """The msgspec hook for the three types above."""
    if issubclass(kind, Duration | Instant | Size):
        return kind.parse(value)
    raise NotImplementedError(kind)


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Refuses what it does not know."""


class _Feature(_Strict, tag_field="op"):
    """One computed column."""


class _Keyed(_Feature):
    by: str
    """The entity."""


class _Windowed(_Keyed):
    window: Duration


class Count(_Windowed, tag="count"):
    """Transactions in the window, this one included."""


class Sum(_Windowed, tag="sum"):
    """Sum of `of` in the window."""

    of: str


class Mean(_Windowed, tag="mean"):
    """Mean of `of` in the window; missing values are left out."""

    of: str


class Deviation(_Windowed, tag="deviation"):
    """Population standard deviation of `of` in the window."""

    of: str


class Distinct(_Windowed, tag="distinct"):
    """Distinct values of the field `of` seen in the window, at most `keep`."""

    of: str
    keep: int = 16


class SinceLast(_Keyed, tag="since_last"):
    """Seconds since the entity's last transaction; missing for the first, 0 for a late one."""


class Level(_Keyed, tag="level"):
    """The value of `of` against the median of the entity's `last` values before it.

    Missing before the third.
    """

    of: str
    last: int
    give: Literal["ratio", "difference", "zscore"]


class Recent(_Keyed, tag="recent"):
    """The values of `of` at the entity's `last` newest transactions, this one first.

    The columns are NAME_0, NAME_1 and so on.
    """

    of: str
    last: int


class DecayedSum(_Keyed, tag="decayed_sum"):
    """Sum of `of` over all transactions, halved every `half_life`."""

    of: str
    half_life: Duration


class FraudRate(_Windowed, tag="fraud_rate"):
    """(frauds + prior * weight) / (verdicts + weight) over the verdicts that matured in the window.

    With `half_life` a verdict weighs half as much that long after it matured, by whole panes.
    """

    prior: float
    weight: float
    half_life: Duration | None = None


class Verdicts(_Windowed, tag="verdicts"):
    """How many verdicts matured in the window."""


class FraudRun(_Keyed, tag="fraud_run"):
    """The frauds since the entity's newest legitimate transaction, among its `last` newest verdicts
    that matured.

    `count` of them; `age`: seconds since the first of them matured; `since_legitimate`: seconds
    since the newest legitimate one matured, run or not; `least`: the smallest value that the column
    `of` had at these frauds. What is not known is missing.
    """

    last: int
    give: Literal["count", "age", "since_legitimate", "least"]
    of: str | None = None


class Calendar(_Feature, tag="calendar"):
    """A part of the event time (UTC); weekday 0 is Monday, night is before 7 h."""

    part: Literal["hour_sin", "hour_cos", "weekday", "is_weekend", "is_night"]


class Expression(_Feature, tag="expression"):
    """Arithmetic on earlier columns; see `tidegate.profile.expression`."""

    is_: str = msgspec.field(name="is")


Windowed = Count | Sum | Mean | Deviation
Verdicted = FraudRate | Verdicts
Keyed = Windowed | Distinct | SinceLast | Level | Recent | DecayedSum | Verdicted | FraudRun
Feature = Keyed | Calendar | Expression


def columns_of(name: str, spec: Feature) -> list[str]:
    """The columns that the feature `name` computes; they share its specification."""
    return [f"{name}_{back}" for back in range(spec.last)] if isinstance(spec, Recent) else [name]


def pane_us(window_us: int) -> int:
    """The width of a window's panes: a day from 7 d on, 1/24 from 1 d on, else 1/12."""
    if window_us >= 7 * DAY:
        return DAY
    return window_us // 24 if window_us >= DAY else window_us // 12


Words = int | str | bool | list[int | str | bool]


class History(_Strict):
    """Where `train` gets its history: so many simulated transactions, or a file with verdicts."""

    simulate: int = 0
    verdicts: bool = True
    """Whether simulated transactions come with verdicts."""
    file: str = ""
    label: str = ""
    """Name of the column with the verdicts; an empty cell means that none is known."""
    fraud: Words = 1
    legitimate: Words = 0
    unknown: Words = ""
    """What that column holds for each: a word, or a list of words."""


class Remember(_Strict):
    """How long the ids of transactions are known, to drop what comes again, and in how much memory
    of each partition of a keyed step.
    """

    time: Duration = Duration(DAY)
    memory: Size = Size(64 << 20)
    keys: Annotated[int, msgspec.Meta(ge=1000, le=1_000_000_000)] | None = None
    """How many entities each partition of a keyed step keeps windows of, at most; None: of all."""


class VerdictSources(_Strict):
    """How many verdicts of one source count in an hour, and the weight of each that has not 1."""

    hourly: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = 20_000
    weights: dict[str, Annotated[float, msgspec.Meta(ge=0, le=1)]] = {}
    """With 0 a source's verdicts are recorded and teach nothing."""


UnknownFields = Literal["refuse", "keep", "drop"]
"""What becomes of fields that the profile does not name: the record is refused, they are stored in
the payload, or left out. They are never an input.
"""


Ids = Literal["shared", "per_client"]
"""Whether a transaction id means the same whoever sends it, or each client of the API has its own:
then what it sends is kept as `client:id`.
"""


class ModelsSpec(_Strict):
    """The models served in score order, all models' settings, excluded columns, thresholds."""

    names: list[str]
    settings: dict[str, dict[str, float | int | str | bool | list[str]]]
    exclude: list[str]
    thresholds: Thresholds

    @property
    def learns(self) -> bool:
        """Whether one of the models learns from verdicts."""
        return "online" in self.names
