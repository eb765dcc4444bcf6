"""What the pipeline page shows, and asks for again each second."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template

from dashboard.context import health, here
from dashboard.pipeline.stages import stages_of
from tidegate.clock import now_us
from tidegate.errors import Retry

blueprint = Blueprint("pipeline", __name__)
_HEARD_US = 30_000_000
"""Processes that were heard so long ago are still listed."""


def shown() -> dict[str, Any]:
    """What the templates need."""
    context = here()
    try:
        partitions = context.board.partitions()
    except Retry:
        partitions = {}
    beats = context.board.processes(within_us=_HEARD_US)
    now = now_us()
    return {
        "stages": stages_of(context.board.stages, beats, partitions),
        "beats": beats,
        "ages": {beat.process: now - context.board.heard_us(beat.process) for beat in beats},
        **health(context),
    }


@blueprint.get("/pipeline/now")
def now() -> str:
    """The part of the page that changes."""
    return render_template("pipeline/now.html", **shown())
