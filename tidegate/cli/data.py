"""Commands about data: `send`, `feedback`, `simulate`, `train`, `backtest`, `retrain`, `redrive`."""

from __future__ import annotations

import typer

from tidegate.cli import backtest, feedback, redrive, retrain, send, simulate, train


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(send.send)
    app.command()(feedback.feedback)
    app.command()(simulate.simulate)
    app.command()(train.train)
    app.command()(backtest.backtest)
    app.command()(retrain.retrain)
    app.command()(redrive.redrive)
