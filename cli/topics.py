"""`tidegate topics`: create and verify what topics.yaml lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption, KafkaOption, ProfileOption, print_json, settings_with

if TYPE_CHECKING:
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.topics import Topic

app = typer.Typer(no_args_is_help=True, help="Create and verify the topics that topics.yaml lists.")


@app.command()
def apply(kafka: KafkaOption = "", as_json: JsonOption = False) -> None:
    """Create the topics that are missing, let the broker stamp the records of all, and compact
    those that are compacted in time.

    Example: [bold]tidegate topics apply --kafka broker-1:9092[/bold]
    """
    from tidegate.topics import apply_topics

    created = apply_topics(*_both(kafka))
    if as_json:
        print_json(created)
    else:
        typer.echo("\n".join(f"created {name}" for name in created) or "nothing was missing")


@app.command()
def check(kafka: KafkaOption = "", as_json: JsonOption = False) -> None:
    """Compare the cluster's topics with topics.yaml; exit code 1 when they differ.

    Example: [bold]tidegate topics check --json[/bold]
    """
    from tidegate.topics import check_compaction, check_in_sync, check_topics

    both = _both(kafka)
    faults = [*check_topics(*both), *check_in_sync(*both), *check_compaction(*both)]
    if as_json:
        print_json(faults)
    else:
        typer.echo("\n".join(faults) or "all topics are as the list says")
    if faults:
        raise typer.Exit(1)


@app.command()
def schemas(
    folder: Annotated[Path, typer.Argument(help="Folder for the files.", show_default=False)],
    profile: ProfileOption = "",
    breaking: Annotated[
        bool, typer.Option("--breaking", help="Also where that breaks who goes by the old ones.")
    ] = False,
) -> None:
    """Write the JSON Schema of the messages of each topic whose messages are JSON.

    Example: [bold]tidegate topics schemas docs/messages[/bold]
    """
    from cli.schemas import write
    from tidegate.profile import load_profile

    used = load_profile(settings_with(profile=profile).profile)
    changed = write(folder, used, breaking=breaking)
    typer.echo("\n".join(f"wrote {name}.json" for name in changed) or "nothing has changed")


def _both(kafka: str) -> tuple[KafkaBroker, list[Topic]]:
    """The cluster and the list."""
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.topics import load_topics

    settings = settings_with(kafka=kafka)
    topics = load_topics(settings.topics_file, settings.replication)
    broker = KafkaBroker(settings)
    broker.check()
    return broker, topics
