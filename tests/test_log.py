"""Lines of the log."""

from __future__ import annotations

import json
import logging

from tidegate import log


def test_logs_are_json_with_the_extras() -> None:
    record = logging.makeLogRecord(
        {
            "name": "tidegate.x",
            "levelname": "INFO",
            "msg": "done %d",
            "args": (3,),
            "transaction_id": "t1",
            "created": 0.25,
            "msecs": 250,
        }
    )
    entry = json.loads(log.JsonFormatter("p").format(record))
    assert entry == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        "process": "p",
        "logger": "tidegate.x",
        "message": "done 3",
        "transaction_id": "t1",
    }
