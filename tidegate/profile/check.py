"""Checks a profile's document section by section, and resolves what refers to what."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.profile import expression
from tidegate.profile.fields import bounds
from tidegate.profile.source import Source
from tidegate.profile.spec import (
    DAY,
    MONEY_LIMIT,
    OPTIONS,
    Distinct,
    Duration,
    Expression,
    Feature,
    Field,
    FraudRate,
    FraudRun,
    History,
    Json,
    Keyed,
    Level,
    ModelsSpec,
    Recent,
    Verdicted,
    Windowed,
)
from tidegate.profile.thresholds import Thresholds
from tidegate.profile.thresholds import fault as threshold_fault

_SECTIONS = frozenset(
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
    }
)
_REQUIRED = ("id", "fields", "models", "thresholds", "history")
_ROLES = {"id": "string", "account": "string", "time": "time", "money": "money"}
_NUMERIC = frozenset({"money", "number", "integer", "bool", "category"})
Settings = dict[str, float | int | str | bool | list[str]]


@dataclass(frozen=True)
class Checked:
    """The parts of a profile, all references resolved."""

    id_field: str
    account: str | None
    time_field: str | None
    money_field: str | None
    fields: dict[str, Field]
    entities: tuple[str, ...]
    hashed: tuple[str, ...]
    inputs: tuple[str, ...]
    computed: dict[str, Feature]
    label_delay_us: int
    models: ModelsSpec
    history: History


def check(source: Source) -> Checked:
    """Raises ConfigError at the first thing that is wrong."""
    document = source.document
    for name in document:
        if name not in _SECTIONS:
            raise source.error(
                (str(name),), f"no such section; there are {', '.join(sorted(_SECTIONS))}"
            )
    for name in _REQUIRED:
        if name not in document:
            raise source.error((), f"section `{name}` is missing")
    fields = _fields(source, document["fields"])
    entities = tuple(source.read(document.get("entities", []), list[str], ("entities",)))
    roles = {section: _reference(source, fields, section, kind) for section, kind in _ROLES.items()}
    _check_entities(source, fields, entities)
    inputs = _inputs(fields, document["id"])
    computed = _Features(source, fields, entities, inputs).read(document.get("features", {}))
    distinct = [spec.of for spec in computed.values() if isinstance(spec, Distinct)]
    delay = source.read(document.get("label_delay", "7d"), Duration, ("label_delay",))
    return Checked(
        id_field=roles["id"] or "",
        account=roles["account"],
        time_field=roles["time"],
        money_field=roles["money"],
        fields=fields,
        entities=entities,
        hashed=tuple(dict.fromkeys((*entities, *distinct))),
        inputs=inputs,
        computed=computed,
        label_delay_us=int(delay),
        models=_models(source, {*inputs, *computed}),
        history=source.read(document["history"], History, ("history",)),
    )


def _mapping(source: Source, value: Json, place: str) -> dict[str, Json]:
    if not isinstance(value, dict) or not all(
        isinstance(key, str) and key.isidentifier() for key in value
    ):
        raise source.error((place,), "expected a mapping of names made of letters, digits and _")
    return value


def _fields(source: Source, section: Json) -> dict[str, Field]:
    fields = {}
    for name, value in _mapping(source, section, "fields").items():
        field: Field = source.read(value, Field, ("fields", name))
        for option in value:
            if option not in OPTIONS[field.type] | {"type", "optional", "ignored"}:
                raise source.error(
                    ("fields", name, option),
                    f"a {field.type} field takes "
                    f"{', '.join(sorted(OPTIONS[field.type])) or 'no options'}",
                )
        problem = _field_problem(field)
        if problem:
            raise source.error(("fields", name), problem)
        fields[name] = source.read({**value, "name": name}, Field, ("fields", name))
    return fields


def _field_problem(field: Field) -> str:
    low, high = bounds(field)
    if low > high:
        return f"min {low} is greater than max {high}"
    if field.type == "category" and not field.values:
        return "a category needs `values`"
    if field.type == "vector" and not 1 <= field.length <= 4096:
        return "a vector needs a `length` of 1 to 4096"
    if field.type == "money" and not 0 <= field.decimals <= 6:
        return "expected 0 to 6 decimals"
    if field.type == "money" and max(-low, high) * 10**field.decimals > MONEY_LIMIT:
        return f"amounts may reach at most {MONEY_LIMIT:,} minor units: lower max, or decimals"
    return ""


def _inputs(fields: dict[str, Field], id_field: str) -> tuple[str, ...]:
    inputs: list[str] = []
    for field in fields.values():
        if field.ignored or field.name == id_field:
            continue
        if field.type == "vector":
            inputs += [f"{field.name}_{number}" for number in range(field.length)]
        elif field.type in _NUMERIC:
            inputs.append(field.name)
    return tuple(inputs)


def _reference(source: Source, fields: dict[str, Field], section: str, kind: str) -> str | None:
    name = source.document.get(section)
    if name is None:
        return None
    if name not in fields or fields[name].type != kind:
        raise source.error((section,), f"expected the name of a field of type {kind}, got {name!r}")
    if section != "id" and (fields[name].optional or fields[name].ignored):
        raise source.error((section,), f"field {name} must be neither optional nor ignored")
    return str(name)


def _check_entities(source: Source, fields: dict[str, Field], entities: tuple[str, ...]) -> None:
    document = source.document
    for name in entities:
        if name not in fields or fields[name].type != "string" or fields[name].optional:
            raise source.error(
                ("entities",), f"expected names of required string fields, got {name!r}"
            )
    if len(entities) > 2 or len(set(entities)) != len(entities):
        raise source.error(("entities",), "expected at most two different fields")
    if (entities[0] if entities else None) != document.get("account"):
        raise source.error(("entities",), "the first entity must be the account")
    if entities and not document.get("time"):
        raise source.error(("entities",), "windows need a `time` field")


def _models(source: Source, columns: set[str]) -> ModelsSpec:
    document = source.document
    settings = source.read(document["models"], dict[str, Settings], ("models",))
    names = [name for name, given in settings.items() if _served(source, name, given)]
    if not names:
        raise source.error(("models",), "expected at least one model that is served")
    exclude = source.read(document.get("exclude", []), list[str], ("exclude",))
    for name in exclude:
        if name not in columns:
            raise source.error(("exclude",), f"{name!r} is no column")
    _check_columns(source, settings, columns.difference(exclude))
    thresholds: Thresholds = source.read(document["thresholds"], Thresholds, ("thresholds",))
    problem = threshold_fault(thresholds, time="time" in document, money="money" in document)
    if problem:
        raise source.error(("thresholds",), problem)
    return ModelsSpec(names=names, settings=settings, exclude=exclude, thresholds=thresholds)


def _served(source: Source, name: str, given: Settings) -> bool:
    """Takes the setting `served` out of a model's settings: it is the pipeline's, not the
    model's.
    """
    served = given.pop("served", True)
    if not isinstance(served, bool):
        raise source.error(("models", name, "served"), f"expected true or false, got {served!r}")
    return served


def _check_columns(source: Source, settings: dict[str, Settings], seen: set[str]) -> None:
    for name, given in settings.items():
        for key, suffix in (("columns", ""), ("series", "_0")):
            chosen = given.get(key)
            for one in chosen if isinstance(chosen, list) else []:
                if one + suffix not in seen:
                    raise source.error(
                        ("models", name, key), f"the models see no column {one + suffix}"
                    )


class _Features:
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
        for name, value in _mapping(self.source, section, "features").items():
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
        self._limits(name, spec)
        return step

    def _expression(self, name: str, spec: Expression) -> int:
        columns = {
            column: self.fields[column].values if column in self.fields else []
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
            if of not in self.fields or self.fields[of].type not in ("string", "category"):
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


def columns_of(name: str, spec: Feature) -> list[str]:
    """The columns that the feature `name` computes; they share its specification."""
    return [f"{name}_{back}" for back in range(spec.last)] if isinstance(spec, Recent) else [name]


def pane_us(window_us: int) -> int:
    """The width of a window's panes: a day from 7 d on, 1/24 from 1 d on, else 1/12."""
    if window_us >= 7 * DAY:
        return DAY
    return window_us // 24 if window_us >= DAY else window_us // 12
