"""`tidegate tail`: what lies on a topic, as lines of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import KafkaOption, ProfileOption, settings_with

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.stream.lines import Lines

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="Like transactions.scored.")]
Newest = Annotated[
    int, typer.Option("--newest", min=0, help="The newest N messages of each partition; 0: all.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tail)


def tail(
    topic: Topic, newest: Newest = 10, profile: ProfileOption = "", kafka: KafkaOption = ""
) -> None:
    """Print what lies on a topic, partition by partition, oldest first: a line of JSON each.

    A message of Tidegate's own steps holds many transactions: each has a line, with its index. What
    is neither JSON nor a frame of this profile is printed as base64. Values may be personal data.

    Example: [bold]tidegate tail transactions.scored --newest 1[/bold]
    """
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile
    from tidegate.stream.lines import Lines

    settings = settings_with(profile=profile, kafka=kafka)
    broker = KafkaBroker(settings)
    broker.check()
    print_topic(broker, topic, newest, Lines(load_profile(settings.profile)))


def print_topic(broker: Broker, topic: str, newest: int, lines: Lines) -> None:
    """Print the newest messages of each partition, or all (0). Raises Retry, ConfigError."""
    from tidegate.broker.addresses import address_of
    from tidegate.stream.side_topic import read_range

    consumer = broker.consumer(None)
    try:
        for source in sorted(consumer.partitions(topic)):
            first, end = consumer.bounds(source)
            start = max(first, end - address_of(topic, newest)) if newest else first
            for batch in read_range(consumer, source, start, end, 2000):
                for line in lines.of(batch):
                    typer.echo(line)
    finally:
        consumer.close()
