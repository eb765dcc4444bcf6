"""A client of the API: post transactions, ask for decisions, give verdicts, read along.

TidegateError
├── ConfigError     the address, or the key: TIDEGATE_KEY is missing, or may not do that
├── Retry           nobody has answered within the client's patience: safe to send again
├── Refused         the API says that the request is at fault: `status`, `kind`, `errors`
├── Undecided       durable, but not decided in the time that was given: `transaction_id`
└── DecisionsLost   the log no longer holds what the reader has not read: `missed`, `cursor`
"""

from tidegate.client.client import (
    Client,
    Decision,
    DecisionsLost,
    Refusal,
    Refused,
    Sent,
    Undecided,
)
from tidegate.errors import ConfigError, Retry, TidegateError

__all__ = [
    "Client",
    "ConfigError",
    "Decision",
    "DecisionsLost",
    "Refusal",
    "Refused",
    "Retry",
    "Sent",
    "TidegateError",
    "Undecided",
]
