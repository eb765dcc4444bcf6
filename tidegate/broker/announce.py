"""Findings for whoever runs the pipeline: the topic operations."""

from __future__ import annotations

import logging

from tidegate.broker.ports import Broker
from tidegate.broker.write import write
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import encode
from tidegate.messages.findings import Finding
from tidegate.pipeline import OPERATIONS

_LOG = logging.getLogger(__name__)


def announce(broker: Broker, found: Finding) -> None:
    """Write it. What cannot be written is logged: it was found all the same."""
    try:
        write(broker, OPERATIONS, found.what.encode(), encode(found), what=found.told)
    except (Retry, ConfigError) as error:
        _LOG.warning("not told on the topic %s: %s", OPERATIONS, error)
