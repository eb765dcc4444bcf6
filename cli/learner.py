"""`tidegate learner`: what people do to the online model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.audited import note
from cli.options import JsonOption, KafkaOption, ProfileOption, print_json, settings_with
from tidegate.words import count

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.messages.documents import OnlineWeights

app = typer.Typer(no_args_is_help=True, help="The online model and the labels it has learnt.")
_SECONDS = 20.0
To = Annotated[
    int,
    typer.Option(
        "--to",
        metavar="OFFSET",
        min=0,
        help="Offset on the topic transactions.labels; a row's `online_labels` is such a number.",
    ),
]


@app.callback()
def learner() -> None:
    """The online model and the labels it has learnt."""


@app.command()
def rollback(
    to: To, profile: ProfileOption = "", kafka: KafkaOption = "", as_json: JsonOption = False
) -> None:
    """Give the online model the weights it had before the label at OFFSET; later verdicts count
    from now on.

    Example: [bold]tidegate learner rollback --to 1200[/bold]
    """
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.broker.write import write
    from tidegate.errors import ConfigError
    from tidegate.messages.documents import Rollback, encode
    from tidegate.pipeline import LABELS
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    end = _end(broker, LABELS)
    if to > end:
        raise ConfigError(f"--to {to}: the topic {LABELS} ends at {end}")
    said = Rollback(to, loaded.hash.decode(), time.time_ns() // 1000, "tidegate learner rollback")
    note(settings, "weights rolled back", str(to))
    write(broker, LABELS, b"rollback", encode(said), what=f"the rollback to {to}")
    found = _published(broker, loaded.hash.decode(), end)
    if as_json:
        print_json(
            {
                "rolled_back_to": to,
                "undo": end,
                "learnt": found.learnt if found else None,
                "published": found is not None,
            }
        )
        return
    typer.echo(
        f"the weights are those before label {to} again, made of {count(found.learnt, 'label')}"
        if found
        else "written; no learner has published the weights within 20 s: it does when it runs"
    )
    typer.echo(f"to undo this: tidegate learner rollback --to {end}")


def _end(broker: Broker, topic: str) -> int:
    consumer = broker.consumer(None)
    try:
        (source,) = consumer.partitions(topic)
        return consumer.bounds(source)[1]
    finally:
        consumer.close()


def _published(broker: Broker, profile: str, after: int) -> OnlineWeights | None:
    """The champion's weights, once they have met the label records beyond `after`; None when they
    do not come.
    """
    from model.bundles.promotion import current_champion, model_message
    from tidegate.messages.documents import OnlineWeights
    from tidegate.pipeline import MODELS
    from tidegate.stream.side_topic import read_partition

    promoted, start = current_champion(broker, profile), 0
    deadline = time.monotonic() + _SECONDS
    while promoted and time.monotonic() < deadline:
        for batch in read_partition(broker, MODELS, start):
            for message in map(model_message, batch.values):
                if (
                    isinstance(message, OnlineWeights)
                    and message.bundle == promoted.champion.bundle
                    and message.labels > after
                ):
                    return message
            start = batch.next_offset
        time.sleep(0.25)
    return None
