"""A dry-run by `tidegate dry-run`: the code of the stages is not the dashboard's."""

from __future__ import annotations

import msgspec

from dashboard.command import Command, Unanswered, last_line
from tidegate.dead_letters.judgement import Judgement

COMMAND = Command("dry-run", seconds=60.0, patience=5.0)


def dry_run(place: str, edited: bytes | None = None) -> Judgement:
    """Judge the letter at PARTITION:OFFSET, or a mended copy of it."""
    record = [] if edited is None else ["--record", "-"]
    try:
        done = COMMAND.run(*record, "--", place, given=edited or b"")
    except Unanswered:
        return Judgement("not_known")
    try:
        return msgspec.json.decode(done.stdout, type=Judgement)
    except msgspec.DecodeError:
        return Judgement("not_known", detail=last_line(done.stderr))
