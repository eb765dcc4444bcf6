"""`tidegate redrive`: put dead letters back to the stage that failed."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from cli.options import Json, Kafka, Profile, print_json, settings_with
from tidegate.errors import ConfigError
from tidegate.pipeline import CONSUMERS

Reason = Annotated[
    str, typer.Option("--reason", help="Only those with this reason, like invalid_json.")
]
StageName = Annotated[
    str, typer.Option("--stage", help=f"Only those of this stage: {', '.join(CONSUMERS)}.")
]
Since = Annotated[
    str, typer.Option("--since", help="Only those that failed at this ISO 8601 time or later.")
]
Transaction = Annotated[str, typer.Option("--id", help="Only those of this transaction id.")]
Places = Annotated[
    list[str] | None,
    typer.Option("--offset", metavar="PARTITION:OFFSET", help="Only these; repeatable."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
Most = Annotated[int, typer.Option("--max", help="At most N dead letters; 0: all there are now.")]
Policy = Annotated[
    str,
    typer.Option(
        "--policy",
        help="What becomes of one that cannot be put back: stop (end there), "
        "reinsert (leave it for later) or drop (give it up).",
    ),
]
Attempts = Annotated[
    int, typer.Option("--attempts", help="After so many failures it goes to the quarantine topic.")
]


def redrive(
    profile: Profile = "",
    kafka: Kafka = "",
    reason: Reason = "",
    stage: StageName = "",
    since: Since = "",
    transaction: Transaction = "",
    places: Places = None,
    dry_run: DryRun = False,
    most: Most = 0,
    policy: Policy = "stop",
    attempts: Attempts = 5,
    as_json: Json = False,
) -> None:
    """Put dead letters back to the topic of the stage that failed, each at most once.

    Example: [bold]tidegate redrive --reason unknown_field --max 1000 --dry-run[/bold]
    """
    import msgspec

    from producers.redrive.redrive import Policy as Policies
    from producers.redrive.redrive import Selection, parse_place
    from producers.redrive.redrive import redrive as put_back
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    if policy not in ("stop", "reinsert", "drop"):
        raise ConfigError(f"--policy {policy}: stop, reinsert or drop is expected")
    settings = settings_with(profile=profile, kafka=kafka)
    broker = KafkaBroker(settings)
    broker.check()
    selection = Selection(
        reason, stage, _time_us(since), transaction, frozenset(map(parse_place, places or []))
    )
    summary = put_back(
        broker,
        load_profile(settings.profile),
        selection,
        dry_run=dry_run,
        most=most,
        policy=cast(Policies, policy),
        attempts=attempts,
    )
    facts = msgspec.to_builtins(summary)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):14} {value if value != {} else 0}")


def _time_us(text: str) -> int:
    from datetime import UTC, datetime

    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--since {text}: an ISO 8601 time is expected, like 2026-01-31T12:00:00Z"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)
