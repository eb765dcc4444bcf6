"""Why a process ended, as the end of its log says."""

from __future__ import annotations

import re

import msgspec

_SERVER = re.compile(r"\[[A-Z]+\] ")
"""How lines of Granian begin: they say that a worker is gone, never why."""
_STACK = re.compile(r"(Current t|T)hread 0x")
"""How faulthandler begins the stack of a thread."""
_HUNG = re.compile(r"Timeout \((.+)\)!")
"""What faulthandler says before the stacks: see `tidegate.stream.pulse`."""
_ERRORS = ("error", "critical")


def last_words(log: str) -> str:
    """The last line that gives a reason: a message of `tidegate`, an exception, an error of our own
    logs.

    Lines that are indented (of tracebacks), the HTTP server's own, and logs of lesser levels give
    none.
    """
    for line in reversed(log.splitlines()):
        if words := _reason(line):
            return words
    return "no word"


def _reason(line: str) -> str:
    if not line.strip() or line[0].isspace() or line == "Stack backtrace:":
        return ""
    if _SERVER.match(line) or _STACK.match(line):
        return ""
    if hung := _HUNG.fullmatch(line):
        return f"its loop stood still for {hung[1]}; where, say the stacks in its log"
    return _of_our_log(line) if line.startswith("{") else line.strip()


def _of_our_log(line: str) -> str:
    """What a line of JSON says, if it tells of an error; `tidegate.log` writes such lines."""
    try:
        entry = msgspec.json.decode(line, type=dict)
    except msgspec.DecodeError:
        return line
    if entry.get("level") not in _ERRORS:
        return ""
    exception = str(entry.get("exception", "")).strip().splitlines()
    return ": ".join([str(entry.get("message", "")), *exception[-1:]])
