"""Policies as people write them: YAML or JSON."""

from __future__ import annotations

import msgspec
import yaml

from tidegate.errors import ConfigError
from tidegate.messages.policy import Policy
from tidegate.words import plain

MOST_CHARACTERS = 2_000_000
"""As people write it, the largest that can be applied takes about half of this."""


def read_policy(text: str) -> Policy:
    """A policy by its text. Raises ConfigError."""
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"a policy has at most {MOST_CHARACTERS:,} characters")
    try:
        document = yaml.safe_load(text) if text.strip() else {}
        policy: Policy = msgspec.convert(document, Policy)
    except msgspec.ValidationError as error:
        raise ConfigError(f"this is no policy: {plain(str(error))}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date that is none
        raise ConfigError(f"this is no YAML: {error}") from error
    return policy


def policy_text(policy: Policy) -> str:
    """The same as YAML."""
    text: str = yaml.safe_dump(
        msgspec.to_builtins(policy), sort_keys=False, allow_unicode=True, width=100
    )
    return text
