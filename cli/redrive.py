"""`tidegate redrive`: put dead letters back to the stage that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from cli.audited import note
from cli.options import JsonOption, KafkaOption, ProfileOption, print_json, settings_with
from tidegate.dead_letters.judgement import ATTEMPTS
from tidegate.errors import ConfigError
from tidegate.pipeline import READERS

if TYPE_CHECKING:
    from tidegate.dead_letters.plan import Summary

Reason = Annotated[
    str,
    typer.Option(
        "--reason",
        help="Only those with this reason, like invalid_json. Conflicting duplicates are put back "
        "only if this names them (conflicting_duplicate): they fail again, as the first row stays.",
    ),
]
StageName = Annotated[
    str, typer.Option("--stage", help=f"Only those of this stage: {', '.join(READERS)}.")
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
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    reason: Reason = "",
    stage: StageName = "",
    since: Since = "",
    transaction: Transaction = "",
    places: Places = None,
    dry_run: DryRun = False,
    most: Most = 0,
    policy: Policy = "stop",
    attempts: Attempts = ATTEMPTS,
    as_json: JsonOption = False,
) -> None:
    """Put dead letters back to the topic of the stage that failed, each at most once.

    One that failed too often goes to the quarantine topic; one that no stage could take is left or
    given up, as --policy says. `tidegate dead-letters` lists them.

    Example: [bold]tidegate redrive --reason unknown_field --max 1000 --dry-run[/bold]
    """
    import msgspec

    from db.account_keys import vault_of
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.dead_letters.plan import Policy as Policies
    from tidegate.dead_letters.redrive import redrive as put_back
    from tidegate.dead_letters.selection import Selection, parse_place
    from tidegate.profile import load_profile

    if policy not in ("stop", "reinsert", "drop"):
        raise ConfigError(f"--policy {policy}: stop, reinsert or drop is expected")
    settings = settings_with(profile=profile, kafka=kafka)
    loaded = load_profile(settings.profile)
    broker = KafkaBroker(settings)
    broker.check()
    selection = Selection(
        reason, stage, _time_us(since), transaction, frozenset(map(parse_place, places or []))
    )
    if not dry_run:
        chosen = {"reason": reason, "stage": stage, "since": since, "places": places or []}
        about = loaded.stored_id(transaction) if transaction else ""
        note(settings, "dead letters redriven", about, **chosen, policy=policy, most=most)
    summary = put_back(
        broker,
        loaded,
        selection,
        dry_run=dry_run,
        most=most,
        policy=cast(Policies, policy),
        attempts=attempts,
        vault=vault_of(loaded, settings.db_url),
    )
    if as_json:
        print_json(msgspec.to_builtins(summary))
    else:
        typer.echo("\n".join(lines(summary, attempts)))


def lines(summary: Summary, attempts: int) -> list[str]:
    """What became of the dead letters: a count and a sentence for each outcome that there was."""
    sentences = {
        f"back to {topic}, of the stage that failed": count
        for topic, count in summary.redriven.items()
    } | {
        f"to the quarantine topic: failed {attempts} times or more": summary.quarantined,
        "given up (--policy drop): no stage could take them": summary.dropped,
        "left as they are (--policy reinsert): no stage could take them": summary.left,
        "left out: conflicting duplicates, which would fail again, as the first row with an id "
        "stays; --reason conflicting_duplicate takes them all the same": summary.conflicts,
        "dealt with by an earlier redrive": summary.before,
        "passed over: the options ask for others": summary.not_selected,
    }
    shown = [f"{count:>8,}  {sentence}" for sentence, count in sentences.items() if count]
    if not any((summary.redriven, summary.quarantined, summary.dropped)):
        shown = ["nothing to put back", *shown]
    if summary.reasons:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in summary.reasons.items())
        shown.append(f"their reasons: {reasons}")
    if summary.dry_run:
        shown = ["this is what would be done; nothing was written (--dry-run)", *shown]
    return shown


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
