"""`tidegate simulate`: live traffic with verdicts."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import (
    JsonOption,
    KeyFileOption,
    ProfileOption,
    UrlOption,
    api_client,
    print_json,
    settings_with,
)
from tidegate import words
from tidegate.errors import ConfigError
from tidegate.host.gate import opened, stop_on_signals

Rate = Annotated[float, typer.Option("--rate", help="Transactions per second.")]
Count = Annotated[int, typer.Option("--count", help="Stop after so many transactions; 0: go on.")]
Seconds = Annotated[float, typer.Option("--seconds", help="Stop after so many seconds; 0: go on.")]
Delay = Annotated[
    float,
    typer.Option("--label-delay", help="Seconds until the verdict on a transaction is posted."),
]
Seed = Annotated[
    int, typer.Option("--seed", help="Equal seeds give the same customers and merchants.")
]


def simulate(
    profile: ProfileOption = "",
    url: UrlOption = "",
    key_file: KeyFileOption = "",
    rate: Rate = 50.0,
    count: Count = 0,
    seconds: Seconds = 0.0,
    label_delay: Delay = 10.0,
    seed: Seed = 1,
    as_json: JsonOption = False,
) -> None:
    """Post simulated transactions as they happen, frauds among them, and verdicts after a delay.

    Example: [bold]tidegate simulate --rate 200 --seconds 60[/bold]
    """
    from producers.simulator.traffic import Simulator
    from tidegate.profile import load_profile

    if rate <= 0:
        raise ConfigError(
            f"--rate {rate:g}: a number of transactions per second above 0 is expected"
        )
    settings = settings_with(profile=profile, key_file=key_file)
    client = api_client(settings, url)
    stop_on_signals(client.stop)
    simulator = Simulator(
        load_profile(settings.profile), client, rate=rate, label_delay=label_delay, seed=seed
    )
    opened(client.stop)
    done = simulator.run(count=count, seconds=seconds)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(done))
    else:
        typer.echo(
            f"{words.count(done.transactions, 'transaction')} "
            f"({words.count(done.frauds, 'fraud')}), {words.count(done.verdicts, 'verdict')}, "
            f"{done.refused:,} refused, in {done.seconds:.1f} s"
        )
