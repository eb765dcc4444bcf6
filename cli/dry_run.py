"""`tidegate dry-run`: what would become of a dead letter that is put back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import DbOption, JsonOption, KafkaOption, ProfileOption, print_json, settings_with
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.dead_letters.judgement import Judgement, Outcome
    from tidegate.dead_letters.letters import DeadLetter
    from tidegate.messages.vault import Vault
    from tidegate.profile import Profile
    from tidegate.settings import Settings
    from tidegate.stream.stage import Stage

Place = Annotated[
    str, typer.Argument(metavar="PARTITION:OFFSET", help="As `tidegate dead-letters` lists it.")
]
Record = Annotated[
    typer.FileBinaryRead | None,
    typer.Option(
        "--record", metavar="FILE", help="A mended copy to judge in the letter's place; - is stdin."
    ),
]
_STEPS = ("preprocess", "preprocess-2")
_WORDS: dict[Outcome, str] = {
    "passes": "it would pass",
    "fails": "it would fail again",
    "passed_over": "it would be passed over",
    "repeat": "it is there already: nothing more would come of it",
    "waits": "it would wait for its row, and fail again if none comes",
    "quarantined": "it has failed so often that a redrive takes it to the quarantine",
    "not_known": "nobody can tell now",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="dry-run")(dry_run)


def dry_run(
    place: Place,
    record: Record = None,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say what would become of a dead letter that is put back, by its stage's own code.

    Writes nothing. Exit code 1 if it would fail again, or nobody can tell.

    Example: [bold]tidegate dry-run 0:17[/bold]
    """
    import msgspec

    from consumers.dry_run import dry_run as judge
    from db.account_keys import vault_of
    from db.store import Store
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.clock import now_us
    from tidegate.dead_letters.letters import edited_copy
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    letter = _letter(broker, vault_of(loaded, settings.db_url), place)
    store = Store(settings.db_read_url, loaded)
    try:
        found = judge(
            loaded,
            broker,
            store,
            partial(_stage, loaded, settings, broker),
            letter,
            edited=edited_copy(loaded, letter, record.read()) if record else None,
            now_us=now_us(),
        )
    finally:
        store.close()
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        typer.echo(_sentence(found))
    if found.outcome in ("fails", "not_known"):
        raise typer.Exit(1)


def _letter(broker: Broker, vault: Vault | None, place: str) -> DeadLetter:
    from tidegate.dead_letters.reading import letters_at
    from tidegate.dead_letters.selection import parse_place

    wanted, consumer = parse_place(place), broker.consumer(None)
    try:
        found = letters_at(consumer, [wanted], vault).get(wanted)
    finally:
        consumer.close()
    if found is None:
        raise ConfigError(f"there is no dead letter at {place}, or Kafka does not keep it any more")
    return found


def _stage(profile: Profile, settings: Settings, broker: Broker, name: str) -> Stage[Any]:
    """A stage that leaves no trace: it makes no key of an account, and notes no beginning."""
    from cli.running.makers import MAKERS

    if name in _STEPS:
        from consumers.erasable import keyed_step
        from model.sip import sip_key

        return keyed_step(profile, _STEPS.index(name), sip_key(broker.cluster_id()))
    if name == "notify":
        from consumers.notify.stage import NotifyStage

        return NotifyStage(profile, 0)
    return MAKERS[name][1](profile, settings, broker)


def _sentence(found: Judgement) -> str:
    why = ": ".join(filter(None, (found.reason, found.detail)))
    words = _WORDS[found.outcome] + (f" ({why})" if why else "")
    moved = f"; its record was about {found.moved}" if found.moved else ""
    return f"{words}{moved}" + (f"; its transaction is {found.id}" if found.id else "")
