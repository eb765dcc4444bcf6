"""Statements read where rows are wanted, without a file of rows in between that anybody sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model.files.formats.convert import convert
from tidegate.errors import ConfigError
from tidegate.words import count


def as_rows(sources: Sequence[Path], out: Path, name: str) -> list[str]:
    """Write all entries of the files to `out`, and say in sentences what was found.

    Raises ConfigError where an entry is at fault or a total does not agree: who sends only what is
    whole need not look at a list.
    """
    done = convert(sources, out, name)
    if not done.good:
        wrong = sum(done.refused.values()) or sum(not told.good for told in done.told)
        raise ConfigError(
            f"{sources[0]}: {count(wrong, 'entry or total', 'entries or totals')} of {name} cannot "
            f"be taken: `tidegate convert FILE --format {name} --out rows.csv` says which, and "
            "`rows.csv` can be sent"
        )
    told = [f"{count(done.rows, 'entry', 'entries')} of {name}"]
    return told + [f"{number:,} left out: {reason}" for reason, number in done.refused.items()]
