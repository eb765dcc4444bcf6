"""Secrets of notify.yaml: `${NAME}` is a variable, or the file `secrets/NAME` beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

HIDDEN = "***"
_NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HOST_END = re.compile(r"[/?#]")
_SHORTEST = 6
"""Shorter parts of an address are found in any sentence by accident."""


class Unset(Exception):
    """A secret that nobody has set: the name of its variable."""


def filled(text: str, environment: Mapping[str, str], folder: Path) -> str:
    """The text with its secrets, of variables or of files in the folder. Raises Unset."""
    return _NAMED.sub(lambda found: _secret(found[1], environment, folder), text)


def _secret(name: str, environment: Mapping[str, str], folder: Path) -> str:
    if value := environment.get(name):
        return value
    try:
        return (folder / name).read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise Unset(f"{name} is not set, and there is no file {folder / name}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Unset(f"{folder / name}: {error}") from error


def shown(address: str) -> str:
    """The address of a channel as people may see it: the way and the host, nothing behind them.

    An address whose host is itself a token (as of most Apprise services) shows the way alone.
    """
    scheme, _, rest = address.partition("://")
    if scheme in ("http", "https"):
        return f"{scheme}://{_HOST_END.split(rest, maxsplit=1)[0].rpartition('@')[2]}/{HIDDEN}"
    return f"{scheme}://{HIDDEN}"


class Redactor:
    """Takes secrets out of sentences: what a channel's library says may hold its address."""

    def __init__(self, *secrets: str) -> None:
        found = {part for secret in secrets for part in _parts(secret)}
        self._secrets = sorted(found, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _parts(secret: str) -> set[str]:
    """A secret, and what of an address may be said without the rest."""
    parts = {secret}
    if "://" in secret:
        try:
            address = urlsplit(secret)
            parts |= {address.username or "", address.password or ""}
        except ValueError:
            return {secret}
        host = address.netloc.rpartition("@")[2]
        if address.scheme not in ("http", "https", "mailto", "mailtos"):
            parts.add(host)
        parts |= set(address.path.split("/"))
        parts |= {value for _, value in parse_qsl(address.query)}
    parts |= {unquote(part) for part in parts}
    return {part for part in parts if len(part) >= _SHORTEST}
