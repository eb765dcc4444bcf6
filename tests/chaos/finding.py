"""What a check has found."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What one check has looked at, and the offenders, each with a word on why."""

    check: str
    figures: dict[str, int]
    bad: list[str]

    def __str__(self) -> str:
        figures = ", ".join(f"{count:,} {what}" for what, count in self.figures.items())
        return f"{'VIOLATED' if self.bad else 'ok':8} {self.check:12} {figures}" + (
            f", {len(self.bad):,} VIOLATIONS" if self.bad else ""
        )
