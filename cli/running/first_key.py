"""Where keys are asked for: whether there is one, and the first."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.access.door import asks_keys, takes_tokens
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry

if TYPE_CHECKING:
    from tidegate.settings import Settings

_LOG = logging.getLogger(__name__)
NAME = "admin"


def check_keys(settings: Settings, *, pages_only: bool = False) -> None:
    """Raises ConfigError with what to type where keys are asked for and none holds, and for
    settings about tokens that are not whole.

    For the results page alone a user or a provider of identities will do, and where tokens are
    taken nobody needs a key.
    While the database is away nobody can say so: then the start goes on, and requests wait for it.
    """
    from db.keys import all_keys
    from db.users import all_users

    if takes_tokens(settings):
        from tidegate.access.issuer import tokens_of

        tokens_of(settings)
        return
    if (pages_only and _signs_in(settings)) or not asks_keys(settings):
        return
    try:
        keys = all_keys(settings.db_url)
        users = all_users(settings.db_url) if pages_only else []
    except Retry as error:
        _LOG.warning("whether there is a key is not known: %s", error)
        return
    if users or any(key.holds(now_us()) for key in keys):
        return
    why = (
        "TIDEGATE_AUTH=keys"
        if settings.auth == "keys"
        else f"TIDEGATE_HOST={settings.host} is not loopback"
    )
    raise ConfigError(
        f"{why}: API and results page ask for a key, and no key holds. "
        f"`tidegate keys create --name {NAME} --scope admin` makes one; "
        "TIDEGATE_AUTH=off lets everybody in"
    )


def _signs_in(settings: Settings) -> bool:
    from dashboard.provider import provider_of

    return provider_of(settings) is not None


def make_first_key(settings: Settings, file: Path) -> str:
    """Where keys are asked for and there never was one: write a key for everything to `file`.

    Returns a remark for people, empty where nothing was to be done. Raises ConfigError when the
    file cannot be written, Retry.
    """
    from db.keys import all_keys, create

    if not asks_keys(settings) or all_keys(settings.db_url):
        return ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ConfigError(f"--first-key {file}: {error.strerror}") from error
    with os.fdopen(opened, "w") as handle:
        os.fchmod(opened, 0o600)
        key, text = create(settings.db_url, NAME, ["admin"], now_us(), by="tidegate setup")
        handle.write(text + "\n")
    return f"key {key.id} of {NAME}, for everything, is in {file}"
