"""`tidegate feedback`: the verdicts of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.file_options import AS_FOUND, Written, with_file_options
from cli.options import (
    JsonOption,
    KafkaOption,
    KeyFileOption,
    LabelOption,
    ProfileOption,
    UrlOption,
    api_client,
    print_json,
    settings_with,
    typeable,
)
from cli.progress import progress_bar
from tidegate import words
from tidegate.errors import ConfigError
from tidegate.host.gate import stop_on_signals

if TYPE_CHECKING:
    from model.history.verdicts import VerdictFile
    from producers.files.verdicts import Outcome
    from tidegate.client import Client
    from tidegate.messages.documents import Verdict
    from tidegate.settings import Settings

File = Annotated[
    str,
    typer.Argument(metavar="FILE", help="A file with the ids and what is known of each."),
]
Source = Annotated[
    str, typer.Option("--source", help="Who says so; each source has a limit for an hour.")
]
NoWait = Annotated[
    bool,
    typer.Option(
        "--no-wait",
        help="Return when all is acknowledged, not when each verdict has found its row.",
    ),
]
_NAMED = 5
"""So many unknown ids are printed."""


@with_file_options
def feedback(
    file: File,
    label: LabelOption = "",
    written: Written = AS_FOUND,
    source: Source = "file",
    no_wait: NoWait = False,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    url: UrlOption = "",
    key_file: KeyFileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Post the verdicts of a file, and wait until each has found its row or is known to have none.

    Rows without a verdict are passed over; the same file again changes nothing. A verdict waits 30
    s for its row. Exit code 1 when a transaction is unknown, a verdict was refused, or a row has no
    id to go by.

    Example: [bold]tidegate feedback chargebacks.csv --label is_fraud[/bold]
    """
    from model.history.verdicts import read_verdicts
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, key_file=key_file)
    read = read_verdicts(written.of(load_profile(settings.profile)), file, label, written.form)
    known = read.frauds
    if not known:
        raise ConfigError("no verdict to post. " + "\n".join(read.sentences()))
    client = api_client(settings, url)
    stop_on_signals(client.stop)
    outcome = _post(settings, client, _verdicts(read, source), wait=not no_wait)
    interrupted = client.stop.is_set()
    if as_json:
        print_json(_facts(read, outcome))
    else:
        typer.echo(typeable("\n".join([*read.sentences(), *lines(known, outcome)])))
        if interrupted:
            typer.echo("interrupted; the same command waits again")
    refused = read.refusals.total or (outcome and (outcome.unknown or outcome.refused))
    if interrupted or refused:
        raise typer.Exit(1)


def _verdicts(read: VerdictFile, source: str) -> list[Verdict]:
    """Verdicts with label ids made of the file's digest: posted again they are the same."""
    from tidegate.messages.documents import Verdict

    digest = read.digest[:16]
    return [
        Verdict(name, "fraud" if fraud else "legitimate", f"{digest}-{name}", source)
        for name, fraud in read.frauds.items()
    ]


def _post(
    settings: Settings, client: Client, verdicts: list[Verdict], *, wait: bool
) -> Outcome | None:
    """What became of them; None when nobody waits for that."""
    from producers.files.verdicts import FollowVerdicts, post_verdicts, wait_for_verdicts
    from tidegate.broker.kafka import KafkaBroker

    with progress_bar("verdicts") as progress:
        if not wait:
            post_verdicts(client, verdicts, progress)
            return None
        broker = KafkaBroker(settings)
        broker.check()
        follow = FollowVerdicts(broker)
        try:
            follow.expect(post_verdicts(client, verdicts, progress))
            return wait_for_verdicts(follow, client.stop, progress)
        finally:
            follow.close()


def _facts(read: VerdictFile, outcome: Outcome | None) -> dict[str, Any]:
    known = read.frauds
    frauds = sum(known.values())
    return {
        "rows": read.refusals.read,
        "without_verdict": read.silent,
        "rows_refused": dict(read.refusals.by_reason),
        "verdicts": len(known),
        "frauds": frauds,
        "legitimate": len(known) - frauds,
        "joined": outcome and outcome.joined,
        "unknown": outcome and len(outcome.unknown),
        "unknown_ids": outcome and outcome.unknown,
        "refused": outcome and outcome.refused,
    }


def lines(known: dict[str, bool], outcome: Outcome | None) -> list[str]:
    """The outcome for people; without one, what was posted."""
    frauds = sum(known.values())
    posted = (
        f"{words.count(len(known), 'verdict')}: {words.count(frauds, 'fraud')}, "
        f"{len(known) - frauds:,} legitimate"
    )
    if outcome is None:
        return [f"{posted}; posted, not waited for"]
    shown = [posted, f"{outcome.joined:,} joined with their rows"]
    if outcome.unknown:
        more = ", ..." if len(outcome.unknown) > _NAMED else ""
        shown.append(
            f"{len(outcome.unknown):,} of unknown transactions, no rows have these ids: "
            f"{', '.join(outcome.unknown[:_NAMED])}{more}"
        )
        shown.append(
            "send the transactions first, then `tidegate redrive --reason unknown_transaction`"
        )
    shown += [f"{count:,} refused: {reason}" for reason, count in outcome.refused.items()]
    return shown
