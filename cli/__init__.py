"""The `tidegate` command.

Commands import what they need when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import logging
import sys

import typer

from cli import (
    audit,
    backtest,
    batch,
    canary,
    cases,
    convert,
    dead_letters,
    doctor,
    dry_run,
    erase,
    export,
    feedback,
    keys,
    learner,
    lists,
    models,
    notify,
    profiles,
    promotions,
    quality,
    reconcile,
    redrive,
    replay,
    rescore,
    retrain,
    rules,
    run,
    send,
    setup,
    shadow,
    simulate,
    skip,
    status,
    tail,
    topics,
    train,
    up,
    users,
)
from cli.options import typeable
from tidegate.errors import EXIT_CONFIG, ConfigError, Stop, TidegateError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Scores money transactions for fraud while they stream through Kafka, and learns from "
    "verdicts.",
)
for command in (up, setup, run, status):
    command.register(app)
for data_command in (
    send.send,
    batch.batch,
    convert.convert,
    feedback.feedback,
    simulate.simulate,
    train.train,
    backtest.backtest,
    retrain.retrain,
    redrive.redrive,
    skip.skip,
):
    app.command()(data_command)
for command in (
    dead_letters,
    dry_run,
    doctor,
    erase,
    export,
    reconcile,
    replay,
    rescore,
    quality,
    tail,
):
    command.register(app)
app.add_typer(topics.app, name="topics")
app.add_typer(profiles.app, name="profile")
shadow.register(models.app)
canary.register(models.app)
promotions.register(models.app)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(users.app, name="users")
app.add_typer(learner.app, name="learner")
app.add_typer(rules.app, name="rules")
app.add_typer(lists.app, name="lists")
app.add_typer(notify.app, name="notify")
app.add_typer(cases.app, name="cases")


def main() -> None:
    """Run a command; an error raised on purpose ends it with one clear line.

    Exit code 78 means that a restart would not help.
    """
    # people get answers; processes set up their own logs
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        app()
    except (ConfigError, Stop) as error:
        sys.stderr.write(f"tidegate: {typeable(str(error))}\n")
        sys.exit(EXIT_CONFIG)
    except TidegateError as error:
        sys.stderr.write(f"tidegate: {typeable(str(error))}\n")
        sys.exit(1)
