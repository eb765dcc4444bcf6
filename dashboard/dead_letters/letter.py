"""One dead letter as a page shows it, whatever its record holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from tidegate.broker.records import Batch, TopicPartition
from tidegate.dead_letters.letters import DeadLetter, transaction_id
from tidegate.dead_letters.shape import Kind, kind_of
from tidegate.messages.ciphertext import ERASED, is_closed
from tidegate.pipeline import BY_ENTITY_2, FEEDBACK, FRAMES, LABELS, RAW
from tidegate.profile import Profile
from tidegate.profile.personal import MASK
from tidegate.stream.dead_letters import PREFIX
from tidegate.stream.lines import Lines

EDITABLE = (RAW, FEEDBACK)
"""Topics of JSON that others write: a copy of a record of theirs can be mended."""
LONGEST_EDIT = 25_000
"""Characters of a record that can be mended in a form, which may make three of one."""
_LONGEST = 100_000
_HEX_BYTES = 512
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Form = Literal["json", "text", "binary", "frame", "empty", "erased", "encrypted", "withheld"]


@dataclass(frozen=True, slots=True)
class Shown:
    """`text` is the payload as it may be shown, at most 100,000 characters; `cut` says that there
    is more.
    """

    place: str
    time_us: int
    id: str
    kind: Kind
    detail: str
    attempt: int
    told: dict[str, str]
    key: str
    headers: list[tuple[str, str]]
    form: Form
    text: str
    bytes: int
    cut: bool
    masked: bool

    @property
    def editable(self) -> bool:
        """Whether a copy of it can be mended in a form."""
        return (
            self.form in ("json", "text", "empty")
            and self.told.get("topic") in EDITABLE
            and len(self.text) <= LONGEST_EDIT
        )


def one_letter(profile: Profile, letter: DeadLetter, *, masked: bool = True) -> Shown:
    """What the page of a letter says; `masked` hides personal values."""
    hides = masked and bool(profile.masks.names)
    form, text = payload(profile, letter, hides=hides)
    detail = letter.told.get("detail", "")
    detail = profile.masks.said(detail, letter.plain) if masked else detail
    return Shown(
        f"{letter.place[0]}:{letter.place[1]}",
        letter.timestamp_ms * 1000,
        transaction_id(profile, letter),
        kind_of(letter.told, profile.masks.said(letter.told.get("detail", ""), _open(letter))),
        detail,
        letter.attempt,
        letter.told,
        _key(profile, letter, hides=hides),
        _headers(letter, hides=hides),
        form,
        text[:_LONGEST],
        len(letter.value or b""),
        len(text) > _LONGEST,
        hides,
    )


def _open(letter: DeadLetter) -> bytes | None:
    """The value as the fold of the groups sees it, which has no keys."""
    return None if is_closed(letter.value) else letter.value


def _key(profile: Profile, letter: DeadLetter, *, hides: bool) -> str:
    key = (letter.key or b"").decode("utf-8", "replace")
    topic = letter.told.get("topic")
    if not hides or topic in (FEEDBACK, LABELS):  # those go by the transaction
        return key
    if topic == BY_ENTITY_2 and len(profile.entities) > 1:
        second = profile.entities[1]
        return str(profile.masks.payload({second: key})[second])
    return profile.masks.account(key) or ""


def _headers(letter: DeadLetter, *, hides: bool) -> list[tuple[str, str]]:
    """Foreign headers, which may hold anything, are shown by name alone where values are hidden."""
    return [
        (name, MASK if hides else (value or b"").decode("utf-8", "replace")[:1000])
        for name, value in letter.headers
        if not name.startswith(PREFIX)
    ]


def payload(profile: Profile, letter: DeadLetter, *, hides: bool) -> tuple[Form, str]:
    """What the record is, and its text: JSON indented, a frame taken apart, bytes in hex."""
    value = letter.plain
    if not value:
        return "empty", ""
    if value == ERASED:
        return "erased", ""
    if is_closed(value):
        return "encrypted", ""
    if letter.told.get("topic") in FRAMES:
        return _frame(profile, letter.told["topic"], value, hides=hides)
    try:
        document = msgspec.json.decode(value)
        value.decode()
    except _UNREADABLE:
        return _no_json(value, hides=hides)
    if hides:
        value = msgspec.json.encode(profile.masks.document(document))
    return "json", msgspec.json.format(value, indent=2).decode()


def _no_json(value: bytes, *, hides: bool) -> tuple[Form, str]:
    if hides:
        return "withheld", ""
    try:
        return "text", value.decode()
    except UnicodeDecodeError:
        return "binary", _hexadecimal(value[:_HEX_BYTES])


def _frame(profile: Profile, topic: str, value: bytes, *, hides: bool) -> tuple[Form, str]:
    """A frame of this profile taken apart; of another one its bytes."""
    batch = Batch(TopicPartition(topic, 0), [0], [None], [value], [0], [None])
    [line] = Lines(profile).of(batch)
    told: dict[str, Any] = msgspec.json.decode(line)
    if "frame" not in told:
        return ("withheld", "") if hides else ("binary", _hexadecimal(value[:_HEX_BYTES]))
    frame = profile.masks.document(told["frame"]) if hides else told["frame"]
    return "frame", msgspec.json.format(msgspec.json.encode(frame), indent=2).decode()


def _hexadecimal(value: bytes) -> str:
    """As `hexdump -C` shows bytes, 16 a line."""
    lines = []
    for start in range(0, len(value), 16):
        part = value[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:06x}  {part.hex(' '):<47}  {text}")
    return "\n".join(lines)
