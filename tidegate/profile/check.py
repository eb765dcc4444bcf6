"""Checks a profile's document section by section, and resolves what refers to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from tidegate.messages.policy import Rule
from tidegate.profile.check_features import FeatureReader
from tidegate.profile.envelope import Envelope, Kind, Updates
from tidegate.profile.field import Field
from tidegate.profile.field_types import TYPES, Currency, String, Time
from tidegate.profile.file_options import fault as file_options_fault
from tidegate.profile.file_spec import FileSpec
from tidegate.profile.number_types import Money
from tidegate.profile.personal import erasable_fault, id_fault, shown_fault
from tidegate.profile.personal import fault as personal_fault
from tidegate.profile.source import Source, mapping
from tidegate.profile.spec import (
    SECTIONS,
    Distinct,
    Duration,
    Feature,
    History,
    Ids,
    Json,
    ModelsSpec,
    Remember,
    UnknownFields,
    VerdictSources,
)
from tidegate.profile.thresholds import Thresholds
from tidegate.profile.thresholds import fault as threshold_fault

_REQUIRED = ("id", "fields", "models", "thresholds", "history")
_EVERY_TYPE = frozenset(Field.__struct_fields__) - {"name"} | {"type"}
"""Options of every field."""
_ROLES: dict[str, type[Field]] = {"id": String, "account": String, "time": Time, "money": Money}
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
    file: FileSpec
    envelope: Envelope | None
    unknown_fields: UnknownFields
    ids: Ids
    remember: Remember
    sources: VerdictSources
    erasable: bool
    rules: tuple[Rule, ...]


def check(source: Source) -> Checked:
    """Raises ConfigError at the first thing that is wrong."""
    document = source.document
    for name in document:
        if name not in SECTIONS:
            raise source.error(
                (str(name),), f"no such section; there are {', '.join(sorted(SECTIONS))}"
            )
    for name in _REQUIRED:
        if name not in document:
            raise source.error((), f"section `{name}` is missing")
    fields = _fields(source, document["fields"])
    entities = tuple(source.read(document.get("entities", []), list[str], ("entities",)))
    roles = {section: _reference(source, fields, section, kind) for section, kind in _ROLES.items()}
    envelope = _envelope(source, fields, roles["id"] or "")
    _check_entities(source, fields, entities)
    _check_currencies(source, fields)
    if problem := id_fault(fields[roles["id"] or ""]):
        raise source.error(("fields", roles["id"] or ""), problem)
    for shown in filter(None, (roles["money"], roles["time"])):
        if problem := shown_fault(fields[shown]):
            raise source.error(("fields", shown), problem)
    erasable = source.read(document.get("erasable", False), bool, ("erasable",))
    if erasable and (problem := erasable_fault([fields[name] for name in entities])):
        raise source.error(("erasable",), problem)
    inputs = _inputs(fields, document["id"])
    computed = FeatureReader(source, fields, entities, inputs).read(document.get("features", {}))
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
        models=_models(source, fields, {*inputs, *computed}),
        history=source.read(document["history"], History, ("history",)),
        file=_file(source),
        envelope=envelope,
        unknown_fields=source.read(
            document.get("unknown_fields", "refuse"), UnknownFields, ("unknown_fields",)
        ),
        ids=source.read(document.get("ids", "shared"), Ids, ("ids",)),
        remember=source.read(document.get("remember", {}), Remember, ("remember",)),
        sources=source.read(document.get("sources", {}), VerdictSources, ("sources",)),
        erasable=erasable,
        rules=source.read(document.get("rules", []), tuple[Rule, ...], ("rules",)),
    )


def _envelope(source: Source, fields: dict[str, Field], id_field: str) -> Envelope | None:
    """What is around the records of other producers, if the profile says so.

    The times of a connector count in units of many kinds: their fields take numbers only of a
    `unit` that the profile names.
    """
    kind = _choice(source, "envelope", Kind)
    updates = _choice(source, "updates", Updates)
    if kind is None:
        if updates:
            raise source.error(("updates",), "only rows in an `envelope` are updated")
        return None
    if kind != "cloudevents":
        for field in fields.values():
            if isinstance(field, Time) and field.unit is None:
                field.unit = "text"
    return Envelope(kind, updates or "conflict", fields, id_field)


def _file(source: Source) -> FileSpec:
    spec: FileSpec = source.read(source.document.get("file", {}), FileSpec, ("file",))
    if problem := spec.problem():
        raise source.error(("file",), problem)
    return spec


def _choice(source: Source, section: str, choices: Json) -> Json:
    """The word of a section, None where there is none."""
    value = source.document.get(section)
    if value is not None and value not in get_args(choices):
        raise source.error(
            (section,), f"expected one of {', '.join(get_args(choices))}, got {value!r}"
        )
    return value


def _fields(source: Source, section: Json) -> dict[str, Field]:
    """The declared fields by name, each as an object of its type's class."""
    fields = {}
    for name, value in mapping(source, section, "fields").items():
        field = _field(source, name, value)
        if problem := field.problem() or file_options_fault(field) or personal_fault(field):
            raise source.error(("fields", name), problem)
        fields[name] = field
    return fields


def _field(source: Source, name: str, value: Json) -> Field:
    place = "fields", name
    if not isinstance(value, dict):
        raise source.error(place, f"expected a mapping with a type, got {value!r}")
    kind = TYPES.get(str(value.get("type")))
    if kind is None:
        raise source.error(
            (*place, "type"), f"expected one of {', '.join(TYPES)}, got {value.get('type')!r}"
        )
    options = set(kind.__struct_fields__) - set(Field.__struct_fields__)
    for option in value:
        if option not in options | _EVERY_TYPE:
            known = ", ".join(sorted(options)) or "no options"
            raise source.error((*place, option), f"a {kind.type} field takes {known}")
    settings = {option: setting for option, setting in value.items() if option != "type"}
    field: Field = source.read({**settings, "name": name}, kind, place)
    return field


def _inputs(fields: dict[str, Field], id_field: str) -> tuple[str, ...]:
    return tuple(
        column
        for field in fields.values()
        if not field.ignored and field.name != id_field
        for column in field.columns()
    )


def _reference(
    source: Source, fields: dict[str, Field], section: str, kind: type[Field]
) -> str | None:
    name = source.document.get(section)
    if name is None:
        return None
    if not isinstance(fields.get(str(name)), kind):
        raise source.error(
            (section,), f"expected the name of a field of type {kind.type}, got {name!r}"
        )
    if section != "id" and (fields[name].optional or fields[name].ignored):
        raise source.error((section,), f"field {name} must be neither optional nor ignored")
    return str(name)


def _check_entities(source: Source, fields: dict[str, Field], entities: tuple[str, ...]) -> None:
    document = source.document
    for place, name in enumerate(entities):
        if not isinstance(fields.get(name), String) or (fields[name].optional and place == 0):
            raise source.error(
                ("entities",),
                f"expected names of string fields, the first one required, got {name!r}",
            )
    if len(entities) > 2 or len(set(entities)) != len(entities):
        raise source.error(("entities",), "expected at most two different fields")
    if (entities[0] if entities else None) != document.get("account"):
        raise source.error(("entities",), "the first entity must be the account")
    if entities and not document.get("time"):
        raise source.error(("entities",), "windows need a `time` field")


def _check_currencies(source: Source, fields: dict[str, Field]) -> None:
    for field in fields.values():
        if not isinstance(field, Money) or not field.currency:
            continue
        place = "fields", field.name
        currency = fields.get(field.currency)
        if not isinstance(currency, Currency) or currency.optional:
            raise source.error(
                (*place, "currency"),
                f"expected the name of a required field of type currency, got {field.currency!r}",
            )
        if "decimals" in source.document["fields"][field.name]:
            raise source.error(
                (*place, "decimals"), "the currency says how many: leave `decimals` out"
            )


def _models(source: Source, fields: dict[str, Field], columns: set[str]) -> ModelsSpec:
    document = source.document
    money = fields.get(document.get("money", ""))
    settings = source.read(document["models"], dict[str, Settings], ("models",))
    names = [name for name, setting in settings.items() if _served(source, name, setting)]
    if not names:
        raise source.error(("models",), "expected at least one model that is served")
    exclude = source.read(document.get("exclude", []), list[str], ("exclude",))
    for name in exclude:
        if name not in columns:
            raise source.error(("exclude",), f"{name!r} is no column")
    _check_columns(source, settings, columns.difference(exclude))
    if "hourly" in settings.get("online", {}):
        raise source.error(
            ("models", "online", "hourly"),
            "the quota of a source is in a section of its own: `sources: {hourly: 20000}`",
        )
    thresholds: Thresholds = source.read(document["thresholds"], Thresholds, ("thresholds",))
    problem = threshold_fault(
        thresholds,
        time="time" in document,
        money=isinstance(money, Money) and not money.currency,
    )
    if problem:
        raise source.error(("thresholds",), problem)
    return ModelsSpec(names=names, settings=settings, exclude=exclude, thresholds=thresholds)


def _served(source: Source, name: str, settings: Settings) -> bool:
    """Take `served`, which is the pipeline's and not the model's, out of a model's settings."""
    served = settings.pop("served", True)
    if not isinstance(served, bool):
        raise source.error(("models", name, "served"), f"expected true or false, got {served!r}")
    return served


def _check_columns(source: Source, settings: dict[str, Settings], seen: set[str]) -> None:
    """The columns, and the first column of each series, that a model's settings name."""
    for name, setting in settings.items():
        for key, suffix in (("columns", ""), ("series", "_0")):
            chosen = setting.get(key)
            if not isinstance(chosen, list):
                continue
            for column in chosen:
                if column + suffix not in seen:
                    raise source.error(
                        ("models", name, key), f"the models see no column {column + suffix}"
                    )
