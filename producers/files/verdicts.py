"""Verdicts of a file posted through `/v1/feedback`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from producers.client import Client
from tidegate.errors import TidegateError
from tidegate.messages.documents import Verdict, encode

_BATCH = 1000


def post_verdicts(
    client: Client, verdicts: Sequence[Verdict], progress: Callable[[float, str], None]
) -> None:
    """Post them in order. The label ids make it safe to do it again. Raises Retry when the API
    stays away.
    """
    for start in range(0, len(verdicts), _BATCH):
        part = verdicts[start : start + _BATCH]
        status, document = client.post("/v1/feedback", encode(part))
        if status != 202:
            raise TidegateError(
                f"the API answered {status} for the verdicts {start + 1} to {start + len(part)}: "
                f"{document.get('detail', document)}"
            )
        progress((start + len(part)) / len(verdicts), f"{start + len(part):,} of {len(verdicts):,}")
