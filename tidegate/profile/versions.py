"""Two hashes of a profile: what states, columns and models depend on, and all of it."""

from __future__ import annotations

import hashlib

import msgspec

from tidegate.profile.check import Checked
from tidegate.profile.field import Field
from tidegate.profile.file_options import OPTIONS as FILE_OPTIONS
from tidegate.profile.number_types import Money
from tidegate.profile.spec import Distinct, Json

_encode = msgspec.json.Encoder().encode
_FREE_SECTIONS = frozenset(
    {"thresholds", "rules", "unknown_fields", "ids", "remember", "file", "sources"}
)
_BOUNDS = frozenset({"min", "max", "max_length", "not_before"})
"""Options of a field that say which values are taken, not what becomes of one that is taken."""
_FREE_OPTIONS = _BOUNDS | FILE_OPTIONS | {"personal"}
"""Beside them, how files write a field, and whether it is shown."""


def state_hash(document: Json, checked: Checked, tokens: str = "") -> bytes:
    """8 hexadecimal digits of what frames, snapshots, labels and bundles depend on.

    Left out are the thresholds (a bundle has its own), the rules (rows name their policy), what
    becomes of unknown fields, whose ids are whose and how long they are remembered (no column
    depends on it), what verdicts of a source count (their labels say it), how files are laid out,
    the bounds of fields (but whether amounts are `wide`), which are personal, and ignored fields
    that nothing refers to. Fields that are kept as tokens are others by another key: `tokens` is
    its fingerprint, "" without such fields.
    """
    lasting = {name: part for name, part in document.items() if name not in _FREE_SECTIONS}
    lasting["fields"] = {
        name: {option: value for option, value in field.items() if option not in _FREE_OPTIONS}
        | _width(checked.fields[name])
        for name, field in document["fields"].items()
        if not checked.fields[name].ignored or name in _referred_to(checked)
    }
    if tokens:
        lasting["tokens"] = tokens
    return _hash(lasting)


def _width(field: Field) -> dict[str, bool]:
    """What the bounds of an amount decide after all: how many words a window's panes have."""
    return {"wide": True} if isinstance(field, Money) and field.wide else {}


def whole_hash(document: Json) -> bytes:
    """8 hexadecimal digits of everything that the file says."""
    return _hash(document)


def _referred_to(checked: Checked) -> set[str | None]:
    """The fields that something besides their own declaration names."""
    roles = {checked.id_field, checked.account, checked.time_field, checked.money_field}
    distinct = {spec.of for spec in checked.computed.values() if isinstance(spec, Distinct)}
    currencies = {
        field.currency for field in checked.fields.values() if isinstance(field, Money)
    } - {""}
    return {*roles, *checked.entities, *checked.hashed, *distinct, *currencies}


def _hash(content: Json) -> bytes:
    return hashlib.sha256(_encode(content)).hexdigest()[:8].encode()
