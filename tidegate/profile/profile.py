"""A profile: one's own transactions, the windows kept of them, and the models that judge them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tidegate import shipped
from tidegate.errors import ConfigError, Rejected
from tidegate.messages.frames import FrameLayout
from tidegate.messages.policy import Policy
from tidegate.profile.check import Checked, check
from tidegate.profile.decoding import (
    amount_fault,
    diagnose,
    keep_unknown,
    make_struct,
    value_fault,
    with_unknown,
)
from tidegate.profile.field import Field
from tidegate.profile.field_types import Time
from tidegate.profile.number_types import Money
from tidegate.profile.personal import Masks
from tidegate.profile.source import Source
from tidegate.profile.spec import Json
from tidegate.profile.tokens import Tokens
from tidegate.profile.versions import state_hash, whole_hash
from tidegate.settings import Settings

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


class Profile:
    """One loaded profile; immutable. All attributes are derived from the file."""

    def __init__(
        self, path: Path, checked: Checked, content: Json, tokens: Tokens | None = None
    ) -> None:
        self.path = path
        self.name = path.stem
        self.tokens = tokens
        """What stands for the values of fields with `store: token`; None without such fields."""
        self.masks = Masks(checked.fields, checked.account)
        self.hash = state_hash(content, checked, tokens.fingerprint if tokens else "")
        """What states, frames, labels and bundles depend on."""
        self.version = whole_hash(content)
        """All that the file says.

        The version of Tidegate before named frames and bundles by this. They are read as well, so
        that its processes can be replaced while they run.
        """
        self.id_field = checked.id_field
        self.account = checked.account
        self.time_field = checked.time_field
        self.money_field = checked.money_field
        self.fields = checked.fields
        self.envelope = checked.envelope
        self.entities = checked.entities
        self.hashed = checked.hashed
        self.inputs = checked.inputs
        self.input_fields = _places(self.fields, self.inputs)
        """The fields that fill columns, and each with its columns' place among `values`."""
        self.computed = checked.computed
        """Feature specs by name, in file order (tidegate.profile.spec.Feature)."""
        self.values = (*checked.inputs, *checked.computed)
        self.label_delay_us = checked.label_delay_us
        self.models = checked.models
        self.history = checked.history
        self.file = checked.file
        self.features = tuple(name for name in self.values if name not in self.models.exclude)
        self.steps = max(1, len(self.entities))
        money = self.fields.get(self.money_field or "")
        self.decimals = money.places() if money else 2
        self.currency_field = money.currency if isinstance(money, Money) else ""
        """The field with the currency of the amount in the rows; "" where all have one."""
        self.unknown_fields = checked.unknown_fields
        self.ids = checked.ids
        self.remember = checked.remember
        self.sources = checked.sources
        self.erasable = checked.erasable
        """Whether payloads on the topics are encrypted by a key of their account."""
        self.policy = Policy(checked.rules)
        """What is in force until another policy is applied; `model.policy` checks it."""
        self._body_key = tokens.secret("body hashes") if tokens and self.erasable else b""
        self.struct = make_struct(self.name, self.fields, self.id_field, self.unknown_fields)
        self.decoder = msgspec.json.Decoder(self.struct)
        self.looked_at = [field for field in self.fields.values() if field.needs_look()]
        """The fields with values that msgspec may accept though they are bad."""
        self._in_currencies = [
            field for field in self.fields.values() if isinstance(field, Money) and field.currency
        ]
        self._looked_at_for_nul = [
            field for field in self.fields.values() if field.is_text or field.needs_look()
        ]

    def decode(self, raw: bytes, received_us: int = 0, scope: str = "") -> msgspec.Struct:
        """The transaction in `raw`, with tokens where the profile keeps them. Raises Rejected.

        `received_us` (0: unknown) bounds times in the future. `scope` is put before its own id,
        whose length is looked at no more unless it is a token.
        """
        try:
            tx = self._decoded(raw, received_us)
            if scope and (own := self.id_of(tx)) is not None:
                self.set_id(tx, scope + own)
            if self.tokens:
                self.tokens.put_in(tx)
        except Rejected as error:
            raise Rejected(error.reason, self.masks.said(error.detail, raw)) from None
        return tx

    def _decoded(self, raw: bytes, received_us: int) -> msgspec.Struct:
        try:
            tx: msgspec.Struct = self.decoder.decode(raw)
            if self.unknown_fields == "keep":
                self._keep_unknown(tx, raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self.rejection(raw, received_us, str(error)) from error
        for field in self._looked_at_for_nul if b"\\u0000" in raw else self.looked_at:
            value = getattr(tx, field.name)
            fault = None if value is None else value_fault(field, value, received_us)
            if fault is not None:
                raise Rejected(fault.reason, f"{fault.field}: {fault.message}")
        for money in self._in_currencies:
            fault = amount_fault(money, getattr(tx, money.name), getattr(tx, money.currency))
            if fault is not None:
                raise Rejected(fault.reason, f"{fault.field}: {fault.message}")
        return tx

    def decode_all(self, raws: Sequence[bytes]) -> list[msgspec.Struct]:
        """Each transaction from its own message, with tokens, without a look at other values.

        Raises what msgspec raises, RecursionError, and Rejected.
        """
        txs: list[msgspec.Struct] = list(map(self.decoder.decode, raws))
        if self.unknown_fields == "keep":
            for tx, raw in zip(txs, raws, strict=True):
                self._keep_unknown(tx, raw)
        if self.tokens:
            for tx in txs:
                self.tokens.put_in(tx)
        return txs

    def _keep_unknown(self, tx: msgspec.Struct, raw: bytes) -> None:
        fault = keep_unknown(tx, raw, self.fields)
        if fault is not None:
            raise Rejected(fault.reason, fault.message)

    def rejection(self, raw: bytes, received_us: int = 0, otherwise: str = "not valid") -> Rejected:
        """The first thing wrong with a message that did not decode."""
        faults = diagnose(raw, self.fields, self.id_field, received_us, self.unknown_fields)
        if not faults:
            return Rejected("invalid_json", otherwise)
        detail = "; ".join(
            f"{fault.field}: {fault.message}" if fault.field else fault.message
            for fault in faults[:5]
        )
        return Rejected(faults[0].reason, detail)

    def faults(self, raw: bytes, received_us: int = 0) -> list[tuple[str, str]]:
        """All bad fields of a message and what was expected of each; empty if the message is good.

        The field "" is the message itself.
        """
        return [
            (fault.field, self.masks.said(fault.message, raw))
            for fault in diagnose(raw, self.fields, self.id_field, received_us, self.unknown_fields)
        ]

    def canonical(self, tx: msgspec.Struct) -> bytes:
        """Compact JSON in field order, unknown fields that are kept behind them by name.

        Equal transactions have equal canonical bytes.
        """
        canonical = _encode(tx)
        return with_unknown(tx, canonical) if self.unknown_fields == "keep" else canonical

    def canonical_lines(self, txs: Sequence[msgspec.Struct]) -> bytes:
        """The canonical bytes of many, a line each: JSON holds no line breaks of its own."""
        lines = _encode_lines(txs)
        if self.unknown_fields != "keep":
            return lines
        return b"".join([line + b"\n" for line in map(with_unknown, txs, lines.split(b"\n"))])

    def canonical_all(self, txs: Sequence[msgspec.Struct]) -> list[bytes]:
        """The canonical bytes of each."""
        return self.canonical_lines(txs).split(b"\n")[:-1]

    def body_hash(self, canonical: bytes) -> bytes:
        """16 bytes of BLAKE2b; of an erasable profile keyed, so that nobody else can try bodies."""
        return self.body_hashes([canonical])

    def body_hashes(self, canonical: Sequence[bytes]) -> bytes:
        """Those of many, one behind the other."""
        key, blake2b = self._body_key, hashlib.blake2b
        return b"".join([blake2b(body, digest_size=16, key=key).digest() for body in canonical])

    def stored(self, name: str | None, value: str) -> str:
        """What is kept of a value of field `name`: the value, or its token."""
        return self.tokens.of(name, value) if self.tokens and name else value

    def stored_id(self, transaction_id: str) -> str:
        """What is kept of an id."""
        return self.stored(self.id_field, transaction_id)

    def id_of(self, tx: msgspec.Struct) -> str | None:
        """The transaction's own id, if it has one."""
        value = getattr(tx, self.id_field)
        return None if value is None else str(value)

    def set_id(self, tx: msgspec.Struct, transaction_id: str) -> None:
        """Give a transaction without an id one, as `stored_id` would have it."""
        setattr(tx, self.id_field, transaction_id)

    def key_of(self, tx: msgspec.Struct) -> bytes:
        """The partition key on the raw topic: the account, else the id."""
        return str(getattr(tx, self.account or self.id_field)).encode()

    def event_us(self, tx: msgspec.Struct, received_us: int = 0) -> int:
        """The event time; where the profile has no time field, `received_us`."""
        field = self.fields.get(self.time_field or "")
        return field.us(getattr(tx, field.name)) if isinstance(field, Time) else received_us

    @property
    def history_place(self) -> str:
        """The URL or files that `history.file` names: beside the profile, else where we work."""
        name = self.history.file
        if "://" in name:
            return name
        beside, here = self.path.parent / name, Path(name)
        return str(here if _is_there(here) and not _is_there(beside) else beside)

    @property
    def features_layout(self) -> FrameLayout:
        """The frame between the keyed steps, and before scoring."""
        return self._layout(scores=0)

    @property
    def scored_layout(self) -> FrameLayout:
        """The frame after scoring."""
        return self._layout(scores=len(self.models.names) + 1)

    def _layout(self, scores: int) -> FrameLayout:
        return FrameLayout(
            self.hash,
            steps=self.steps,
            keys=len(self.hashed),
            values=len(self.values),
            scores=scores,
            also=self.version,
        )


def _places(fields: Mapping[str, Field], inputs: Sequence[str]) -> list[tuple[Field, slice]]:
    places = []
    for field in fields.values():
        columns = field.columns()
        if columns and columns[0] in inputs:
            first = inputs.index(columns[0])
            places.append((field, slice(first, first + len(columns))))
    return places


def load_profile(name_or_path: str | Path) -> Profile:
    """Load `profiles/NAME.yaml`, or the file at a path.

    Raises ConfigError with file, line, field and expectation, or where the key of its tokens is
    missing.
    """
    path = _find(str(name_or_path))
    source = Source(path)
    checked = check(source)
    kept = [field for field in checked.fields.values() if field.tokenised]
    by_client = checked.id_field if checked.ids == "per_client" else ""
    tokens = Tokens(Settings().token_secret(), kept, by_client) if kept else None
    return Profile(path, checked, source.document, tokens)


def _is_there(path: Path) -> bool:
    """Whether there is such a file or folder, or one that a pattern in its name means."""
    return path.exists() or any(path.parent.glob(path.name))


def _find(name: str) -> Path:
    if "/" in name or name.endswith((".yaml", ".yml")):
        return Path(name)
    path = shipped.find(Path("profiles") / f"{name}.yaml")
    if path.is_file():
        return path
    folders = (Path("profiles"), shipped.FOLDER / "profiles")
    known = sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
    raise ConfigError(
        f"no profile {name!r}; there are {', '.join(known)}, or give the path of a file"
    )
