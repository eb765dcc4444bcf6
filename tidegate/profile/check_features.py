"""Checks a profile's features one after the other, and in which keyed step each is known."""

from __future__ import annotations

from tidegate.profile import expression
from tidegate.profile.field import Field
from tidegate.profile.number_types import Money
from tidegate.profile.source import Source, mapping
from tidegate.profile.spec import (
    DAY,
    Distinct,
    Expression,
    Feature,
    FraudRate,
    FraudRun,
    Json,
    Keyed,
    Level,
    Recent,
    Verdicted,
    Windowed,
    columns_of,
    pane_us,
)


class FeatureReader:
    """Reads the features in order; each may use the columns before it."""

    def __init__(
        self,
        source: Source,
        fields: dict[str, Field],
        entities: tuple[str, ...],
        inputs: tuple[str, ...],
    ) -> None:
        self.source, self.fields, self.entities, self.inputs = source, fields, entities, inputs
        self.steps = dict.fromkeys(inputs, 0)
        """The keyed step in which each column is known."""

    def read(self, section: Json) -> dict[str, Feature]:
        features = {}
        for name, value in mapping(self.source, section, "features").items():
            spec = self.source.read(value, Feature, ("features", name))
            step = self._step(name, spec)
            for column in columns_of(name, spec):
                if column in self.steps or column in self.fields:
                    raise self.source.error(
                        ("features", name), f"there is a column {column} already"
                    )
                self.steps[column] = step
                features[column] = spec
        return features

    def _step(self, name: str, spec: Feature) -> int:
        if isinstance(spec, Expression):
            return self._expression(name, spec)
        if not isinstance(spec, Keyed):
            return 0
        if spec.by not in self.entities:
            raise self._error(
                name,
                "by",
                f"expected one of the entities {', '.join(self.entities)}, got {spec.by!r}",
            )
        step = self.entities.index(spec.by)
        self._source_column(name, spec, step)
        self._one_currency(name, spec)
        self._limits(name, spec)
        return step

    def _expression(self, name: str, spec: Expression) -> int:
        columns = {
            column: self.fields[column].codes() if column in self.fields else ()
            for column in self.steps
        }
        try:
            used = expression.names(expression.parse(spec.is_, columns))
        except ValueError as error:
            raise self._error(name, "is", str(error)) from error
        return max((self.steps[column] for column in used), default=0)

    def _source_column(self, name: str, spec: Keyed, step: int) -> None:
        of = getattr(spec, "of", None)
        if isinstance(spec, FraudRun) and (of is None) == (spec.give == "least"):
            raise self._error(name, "of", "`least` needs a column, and nothing else takes one")
        if of is None:
            return
        if isinstance(spec, Distinct):
            if of not in self.fields or not self.fields[of].countable:
                raise self._error(name, "of", f"expected a string or category field, got {of!r}")
        elif of not in self.steps:
            raise self._error(name, "of", f"expected a column known before this one, got {of!r}")
        elif isinstance(spec, FraudRun) and self.steps[of] == step and of not in self.inputs:
            raise self._error(
                name,
                "of",
                f"expected an input, or a column of an earlier step than that by {spec.by}",
            )
        elif self.steps[of] > step:
            raise self._error(name, "of", f"{of!r} is only known after the step by {spec.by}")

    def _one_currency(self, name: str, spec: Keyed) -> None:
        """Amounts in several currencies are never added up, or compared with each other."""
        of = getattr(spec, "of", None)
        field = self.fields.get(of or "")
        if isinstance(field, Money) and field.currency:
            raise self._error(
                name,
                "of",
                f"the amounts of {of} are in several currencies: name an expression that converts "
                f"them, such as \"{of} * 0.0062 if {field.currency} == 'JPY' else {of}\"",
            )

    def _limits(self, name: str, spec: Keyed) -> None:
        window = getattr(spec, "window", None)
        if isinstance(spec, Windowed | Verdicted) and (window or 0) % pane_us(int(window or 1)):
            raise self._error(
                name, "window", "expected whole days from 7d on, else a multiple of its panes"
            )
        if isinstance(window, int) and window > 90 * DAY:
            raise self._error(name, "window", "expected at most 90d")
        if isinstance(spec, Distinct) and not 2 <= spec.keep <= 64:
            raise self._error(name, "keep", "expected 2 to 64")
        if isinstance(spec, Level) and not 3 <= spec.last <= 64:
            raise self._error(name, "last", "expected 3 to 64")
        if isinstance(spec, Recent) and not 2 <= spec.last <= 64:
            raise self._error(name, "last", "expected 2 to 64")
        if isinstance(spec, FraudRate) and not (0 < spec.prior < 1 and spec.weight > 0):
            raise self._error(name, "prior", "expected 0 < prior < 1 and weight > 0")
        if isinstance(spec, FraudRun) and not 2 <= spec.last <= 64:
            raise self._error(name, "last", "expected 2 to 64")

    def _error(self, name: str, key: str, message: str) -> Exception:
        return self.source.error(("features", name, key), message)
