"""What a condition may name, in one profile: the fields, features and scores, and their kinds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Literal, NamedTuple

from model.policy.lexer import ConditionFault
from tidegate.messages.frames import DECISIONS
from tidegate.profile import Profile
from tidegate.profile.field import Field
from tidegate.profile.field_types import Bool, Category, String, Time

Kind = Literal["number", "flag", "category", "text"]
Source = Literal["values", "keys", "payload", "amount", "score", "scores", "decision"]


class Word(NamedTuple):
    """What a name stands for: its kind, where it is read (`place` in that), and in `codes` the
    texts of a category, `open` where there are others.
    """

    name: str
    kind: Kind
    source: Source
    place: int = 0
    codes: tuple[str, ...] = ()
    open: bool = False


class Vocabulary:
    """The words of a profile: `tx` its fields and features, `model` what the models said."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.tx = _columns(profile) | _others(profile)
        self.model = _of_the_models(profile)
        if profile.money_field and "amount" not in self.tx:
            self.tx["amount"] = self.tx[profile.money_field]._replace(name="amount")

    def find(self, name: str, scope: str, at: int) -> Word:
        """What a name means; one that means two things needs `tx.` or `model.` before it."""
        scopes = {"tx": self.tx, "model": self.model}
        found = [
            words[name] for key, words in scopes.items() if scope in ("", key) and name in words
        ]
        if len(found) > 1:
            raise ConditionFault(f"{name!r} is two things: say tx.{name} or model.{name}", at)
        if not found:
            raise ConditionFault(self._unknown(name, scope, scopes), at)
        return found[0]

    def text(self, field: str, at: int = 0) -> Word:
        """A field as a text, however else it is read; for lists, and undeclared categories."""
        if field in self.profile.hashed:
            return Word(field, "text", "keys", self.profile.hashed.index(field))
        declared = self.profile.fields.get(field)
        if isinstance(declared, String | Category):
            return Word(field, "text", "payload")
        raise ConditionFault(f"{field!r} is no field with texts", at)

    def _unknown(self, name: str, scope: str, scopes: Mapping[str, Mapping[str, Word]]) -> str:
        declared = self.profile.fields.get(name)
        if isinstance(declared, Time):
            return f"{name!r} is a time: name a feature of it, such as a `calendar` one"
        names = [word for key, words in scopes.items() if scope in ("", key) for word in words]
        meant = "".join(
            f", do you mean {one}?" for one in difflib.get_close_matches(name, names, 1)
        )
        return f"{name!r} is no field, feature or score here{meant}"


def _columns(profile: Profile) -> dict[str, Word]:
    """Every column of the frames' values."""
    words = {
        name: Word(name, "number", "values", place) for place, name in enumerate(profile.values)
    }
    for field, place in profile.input_fields:
        if isinstance(field, Bool):
            words[field.name] = Word(field.name, "flag", "values", place.start)
        elif codes := field.codes():
            is_open = not isinstance(field, Category) or field.open or field.type == "currency"
            words[field.name] = Word(
                field.name, "category", "values", place.start, tuple(codes), is_open
            )
    return words


def _others(profile: Profile) -> dict[str, Word]:
    """The fields that fill no column: hashed ones are in the frames, the others in the payload."""
    words = {}
    read = {field.name for field, _ in profile.input_fields}
    for name, field in profile.fields.items():
        if name in read or isinstance(field, Time) or field.is_list:
            continue
        if name in profile.hashed:
            words[name] = Word(name, "text", "keys", profile.hashed.index(name))
        else:
            words[name] = Word(name, _kind_of(field), "payload")
    return words


def _kind_of(field: Field) -> Kind:
    if isinstance(field, Bool):
        return "flag"
    return "number" if field.cells == "number" else "text"


def _of_the_models(profile: Profile) -> dict[str, Word]:
    scores = {
        name: Word(name, "number", "scores", place)
        for place, name in enumerate(profile.models.names)
    }
    return scores | {
        "score": Word("score", "number", "score"),
        "decision": Word("decision", "category", "decision", codes=DECISIONS),
    }
