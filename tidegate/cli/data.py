"""Commands about data: `send`, `simulate`, `train`, `redrive`."""

from __future__ import annotations

import typer

from tidegate.cli import redrive, send, simulate, train


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(send.send)
    app.command()(simulate.simulate)
    app.command()(train.train)
    app.command()(redrive.redrive)
