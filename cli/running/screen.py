"""What `tidegate up` shows: a live table on a terminal, else one line for each change."""

from __future__ import annotations

import http.client
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from cli.options import command_name, ranges, typeable
from cli.running.sample import curl_line
from tidegate.host.process import Child

if TYPE_CHECKING:
    from tidegate.host.supervisor import Supervisor
    from tidegate.messages.heartbeats import Heartbeat
    from tidegate.profile import Profile
    from tidegate.settings import Settings

_COLOURS = {
    "running": "green",
    "backoff": "yellow",
    "refused": "red",
    "waiting": "dim",
    "stopped": "dim",
}
_COLUMNS: dict[str, Literal["left", "right"]] = {
    "process": "left",
    "state": "left",
    "pid": "right",
    "restarts": "right",
    "partitions": "left",
    "lag": "right",
    "processed": "right",
    "rejected": "right",
    "last words": "left",
}


class Screen:
    """Notes, changes, and the table of processes."""

    def __init__(self, settings: Settings, profile: Profile) -> None:
        self._settings, self._profile = settings, profile
        self._console = Console(highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._began = time.monotonic()
        self._asked = 0.0
        self.ready = False

    def note(self, text: str) -> None:
        """A line that stays. It may hold anything that a process has said."""
        self._print(escape(typeable(text)))

    def _print(self, markup: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/]  {markup}")

    def changed(self, child: Child) -> None:
        """Tell of a process that ended or was started again."""
        about = f": {escape(typeable(child.cause))}" if child.cause else ""
        self._print(f"[{_COLOURS[child.phase]}]{child.name} {child.phase}[/]{about}")

    def open(self) -> None:
        """Show the live table from now on, on a terminal."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def close(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def tick(self, supervisor: Supervisor, beats: list[Heartbeat]) -> None:
        """Redraw; look for readiness until it is there, and then greet."""
        if not self.ready and self._ask():
            self.ready = True
            self._greet()
        if self._live:
            self._live.update(self._table(supervisor, {beat.process: beat for beat in beats}))

    def _ask(self) -> bool:
        if time.monotonic() - self._asked < 0.4:
            return False
        self._asked = time.monotonic()
        return ready(self._settings)

    def _greet(self) -> None:
        host, settings = self._settings.host, self._settings
        self._print(
            f"[green]ready[/]: http://{host}:{settings.port} (API, /docs), "
            f"http://{host}:{settings.dashboard_port} (dashboard)"
        )
        self._console.print("try:   " + curl_line(settings, self._profile), markup=False)
        name = command_name()
        self._console.print(f"look:  {name} status", markup=False)
        if name != "tidegate":
            activate = Path(name).with_name("activate")
            self._console.print(f"       (plain tidegate after: source {activate})", markup=False)

    def _table(self, supervisor: Supervisor, beats: dict[str, Heartbeat]) -> Table:
        address = f"http://{self._settings.host}:{self._settings.port}"
        table = Table(title=f"Tidegate, profile {self._profile.name}, {address}")
        for name, side in _COLUMNS.items():
            table.add_column(name, justify=side)
        for child in supervisor.all:
            table.add_row(*_row(child, beats.get(child.name)))
        return table


def _row(child: Child, beat: Heartbeat | None) -> list[str]:
    state: str = child.phase
    note = child.cause
    figures = ["", "", "", ""]
    if beat:
        counts = (beat.lag, beat.processed, beat.rejected)
        figures = [ranges(beat.partitions), *(f"{count:,}" for count in counts)]
        if child.phase == "running":
            state = "ready" if beat.restored else "restoring"
            note = "; ".join(map(str, beat.restoring)) or note
    return [
        child.name,
        f"[{_COLOURS[child.phase]}]{state}[/]",
        str(child.pid or ""),
        str(child.restarts),
        *figures,
        escape(note[:80]),
    ]


def ready(settings: Settings, timeout: float = 0.5) -> bool:
    """Whether GET /readyz answers 200."""
    link = http.client.HTTPConnection(settings.host, settings.port, timeout=timeout)
    try:
        link.request("GET", "/readyz")
        return link.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()
