"""The public keys by which an issuer's tokens are checked: a JWK set (RFC 7517)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import msgspec

from tidegate.access.hosts import is_loopback
from tidegate.access.tokens import ALGORITHMS, Keys, Tokens
from tidegate.errors import ConfigError, Retry
from tidegate.http import ask, check_address
from tidegate.settings import Settings

_SETTING = "TIDEGATE_JWT_KEYS"
_SHORTEST_RSA = 2048


def tokens_of(settings: Settings) -> Tokens | None:
    """What checks tokens, as the settings say; None where none are taken. Nothing is read yet.

    Raises ConfigError when a part is missing.
    """
    parts = {
        "TIDEGATE_JWT_ISSUER": settings.jwt_issuer,
        "TIDEGATE_JWT_AUDIENCE": settings.jwt_audience,
        _SETTING: settings.jwt_keys,
    }
    missing = [name for name, value in parts.items() if not value]
    if len(missing) == len(parts):
        return None
    if missing:
        raise ConfigError(f"tokens need {' and '.join(missing)} too, or none of {', '.join(parts)}")
    where = settings.jwt_keys
    if "://" in where:
        check_secure(_SETTING, where)
    return Tokens(
        settings.jwt_issuer,
        settings.jwt_audience,
        lambda: read_keys(_SETTING, where),
        rate=settings.jwt_rate,
    )


def read_keys(setting: str, where: str) -> Keys:
    """The keys that the file or address has for ALGORITHMS; others are left out.

    Raises ConfigError naming `setting`, and Retry when the server is away.
    """
    raw = fetched(setting, where) if "://" in where else _file(setting, where)
    return keys_in(raw, f"{setting} {where}")


def keys_in(raw: bytes, where: str) -> Keys:
    """The keys of a JWK set by `kid`. Raises ConfigError naming `where` when there is none."""
    try:
        listed = msgspec.json.decode(raw, type=dict[str, Any]).get("keys")
    except msgspec.DecodeError as error:
        raise ConfigError(f"{where}: not a JWK set: {error}") from error
    made = [_key(one) for one in listed] if isinstance(listed, list) else []
    keys = {key.key_id: key for key in made if key is not None and key.key_id}
    if not keys:
        raise ConfigError(
            f"{where}: no key in it has a kid and is public for one of "
            f"{', '.join(ALGORITHMS)}, RSA with {_SHORTEST_RSA} bits or more"
        )
    return keys


def _key(described: object) -> jwt.PyJWK | None:
    """None for what signs nothing that we take: encrypts, is shared (HS256), is short or broken."""
    if not isinstance(described, dict) or described.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in described.items() if name != "d"}
    try:
        key = jwt.PyJWK(public)
    except jwt.PyJWTError:
        return None
    if key.algorithm_name not in ALGORITHMS:
        return None
    return None if key.key_type == "RSA" and key.key.key_size < _SHORTEST_RSA else key


def check_secure(setting: str, url: str) -> None:
    """Raises ConfigError for an address with http beyond loopback, where keys could be changed."""
    parts = check_address(setting, url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ConfigError(f"{setting} {url}: only an address with https is taken")


def fetched(setting: str, url: str) -> bytes:
    """What is at an address. Raises ConfigError, Retry."""
    answer = ask(setting, "GET", url)
    if answer.status != 200:
        raise Retry(f"{setting} {url}: HTTP status {answer.status}")
    return answer.body


def _file(setting: str, where: str) -> bytes:
    try:
        return Path(where).read_bytes()
    except OSError as error:
        raise ConfigError(f"{setting} {where}: {error.strerror}") from error
