"""A backtest's report on disk: one HTML file that needs no other, its plots as PNG, and all figures
as JSON.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from model.evaluation.plots import plots
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from model.evaluation.report import BacktestReport


def write(folder: Path, report: BacktestReport) -> None:
    """Write report.json, report.html and the plots; files of an earlier report are replaced.

    Raises ConfigError when the folder cannot be written.
    """
    images = plots([report.champion, report.challenger])
    files = {f"{name}.png": content for name, content in images.items()}
    files["report.json"] = msgspec.json.format(msgspec.json.encode(report), indent=1)
    files["report.html"] = page(report, images).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"--report {folder}: cannot be written: {error.strerror or error}"
        ) from error


def page(report: BacktestReport, images: dict[str, bytes]) -> str:
    """The HTML. Ids, accounts and reasons are other people's text: everything is escaped."""
    pages = Environment(
        loader=PackageLoader("model.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"share": _share, "moment": _moment, "number": _number}
    embedded = {
        name: "data:image/png;base64," + base64.b64encode(content).decode()
        for name, content in images.items()
    }
    return pages.get_template("report.html").render(report=report, images=embedded)


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
