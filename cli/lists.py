"""`tidegate lists`: values that are blocked, approved or watched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from cli.keys import moment
from cli.options import (
    DbOption,
    JsonOption,
    KafkaOption,
    ProfileOption,
    print_json,
    settings_with,
    typeable,
)
from cli.rules import bring
from tidegate.words import count

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.messages.policy import Policy
    from tidegate.profile import Profile
    from tidegate.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Add values to lists that block, allow or watch.")
ListName = Annotated[str, typer.Argument(metavar="LIST", help="The list's name.")]
Values = Annotated[list[str], typer.Argument(metavar="VALUE...", help="Values of its field.")]
Kind = Annotated[str, typer.Option("--kind", help="Of a new list: block, allow or watch.")]
FieldName = Annotated[str, typer.Option("--field", help="Of a new list: like user_id.")]
DaysLeft = Annotated[int, typer.Option("--days", min=0, help="For how many days; 0: for good.")]
Note = Annotated[str, typer.Option("--note", help="Why.")]
_DAY_US = 86_400_000_000


@app.command()
def show(profile: ProfileOption = "", kafka: KafkaOption = "", as_json: JsonOption = False) -> None:
    """Print all lists with their entries; personal values are masked.

    Example: [bold]tidegate lists show[/bold]
    """
    _, loaded, _, policy = _system(profile, kafka, "")
    told = [
        {
            "list": each.name,
            "kind": each.kind,
            "field": each.field,
            "entries": [
                {
                    "value": loaded.masks.payload({each.field: entry.value})[each.field],
                    "until": moment(entry.until_us) if entry.until_us else "",
                    "note": entry.note,
                }
                for entry in each.entries
            ],
        }
        for each in policy.lists
    ]
    if as_json:
        print_json(told)
        return
    for each in policy.lists:
        typer.echo(f"{each.name}: {each.kind} by {each.field}, {_entries(len(each.entries))}")
        for entry in each.entries:
            value = loaded.masks.payload({each.field: entry.value})[each.field]
            until = f"until {moment(entry.until_us)}" if entry.until_us else "for good"
            typer.echo(f"  {value:<40} {until}  {entry.note}".rstrip())
    if not told:
        typer.echo(typeable("no list yet: `tidegate lists add` makes one"))


@app.command()
def add(
    name: ListName,
    values: Values,
    kind: Kind = "",
    field: FieldName = "",
    days: DaysLeft = 0,
    remark: Note = "",
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
) -> None:
    """Add values to a list, which --kind and --field make if it is not there.

    Example: [bold]tidegate lists add stolen u-17 --kind block --field user_id --days 30[/bold]
    """
    import msgspec

    from model.policy.edit import with_entries
    from tidegate.errors import ConfigError
    from tidegate.messages.policy import ListEntry
    from tidegate.words import plain

    settings, loaded, broker, policy = _system(profile, kafka, db)
    until = time.time_ns() // 1000 + days * _DAY_US if days else 0
    try:
        entries = [
            msgspec.convert({"value": value, "until_us": until, "note": remark}, ListEntry)
            for value in values
        ]
        policy = made(policy, name, kind, field)
    except msgspec.ValidationError as error:
        raise ConfigError(plain(str(error))) from error
    changed = with_entries(policy, loaded, name, entries)
    typer.echo(bring(settings, loaded, broker, changed))


def made(policy: Policy, name: str, kind: str, field: str) -> Policy:
    """With a list of that name; one that is there has to be of that kind and field ("": any).

    Raises ConfigError, msgspec.ValidationError.
    """
    from model.policy.edit import with_list
    from tidegate.errors import ConfigError
    from tidegate.messages.policy import ListKind

    for each in policy.lists:
        if each.name != name:
            continue
        if (kind or each.kind, field or each.field) != (each.kind, each.field):
            raise ConfigError(
                f"the list {name} is there already, as {each.kind} by {each.field}: leave --kind "
                "and --field out, or give another name"
            )
        return policy
    if kind not in get_args(ListKind) or not field:
        raise ConfigError(
            f"there is no list {name}: make it by --kind block|allow|watch and --field NAME"
        )
    return with_list(policy, name, cast("ListKind", kind), field)


@app.command()
def remove(
    name: ListName,
    values: Values,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
) -> None:
    """Take values from a list.

    Example: [bold]tidegate lists remove stolen u-17[/bold]
    """
    from model.policy.edit import without_entries
    from tidegate.errors import ConfigError

    settings, loaded, broker, policy = _system(profile, kafka, db)
    try:
        changed = without_entries(policy, loaded, name, values)
    except KeyError as error:
        raise ConfigError(f"there is no list {name}") from error
    typer.echo(bring(settings, loaded, broker, changed))


def _entries(number: int) -> str:
    return count(number, "entry", "entries")


def _system(profile: str, kafka: str, db: str) -> tuple[Settings, Profile, Broker, Policy]:
    """With the policy in force."""
    from model.bundles.policies import current_policy, in_force
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    broker.check()
    return settings, loaded, broker, in_force(loaded, current_policy(broker, loaded.hash.decode()))
