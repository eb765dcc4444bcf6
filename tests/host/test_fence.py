"""What happens to a killed broker before it starts again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.host.fence import fence, killed

pytestmark = pytest.mark.processes


def test_a_killed_broker_leads_nothing_until_it_is_back(tmp_path: Path) -> None:
    """Otherwise it completes transactions without telling those who wait for them."""
    broker, folder = EmbeddedKafka(tmp_path, free_port(), heap="256m"), tmp_path / "kafka"
    broker.prepare()
    assert not killed(folder), "it has not run yet"
    broker.start()
    broker.kill()
    assert killed(folder)
    assert fence(folder, broker.java())
    assert not fence(folder, broker.java()), "it is fenced already"
    broker.start()
    broker.stop()
    assert not killed(folder), "it ended cleanly"


def test_a_controller_that_cannot_run_keeps_no_broker_from_starting(tmp_path: Path) -> None:
    assert not fence(tmp_path, ["/bin/false", "server.properties"])
