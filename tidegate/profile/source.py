"""Reads YAML so that every complaint can name file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
import yaml

from tidegate.errors import ConfigError
from tidegate.profile.spec import Json, hook
from tidegate.words import plain

Place = tuple[str, ...]
_BOOL, _TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


class Source:
    """A YAML document and the line of each of its keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        try:
            loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
            node = loader.get_single_node()
            self._walk(node, ())
            self.document: Json = loader.construct_document(node) if node is not None else None
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ConfigError(f"{path}:{line}: not YAML: {error.problem}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not YAML: {error}") from error
        if not isinstance(self.document, dict):
            raise self.error((), "expected a mapping")

    def _walk(self, node: yaml.Node | None, place: Place) -> None:
        if node is None:
            return
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.tag == _BOOL:  # a bare yes or no names an option of that name
                    key.tag = _TEXT
                inner = (*place, str(key.value))
                if inner in self.lines:
                    raise ConfigError(
                        f"{self.path}:{key.start_mark.line + 1}: {'.'.join(inner)}: named twice"
                    )
                self.lines[inner] = key.start_mark.line + 1
                self._walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                self._walk(value, (*place, str(number)))

    def error(self, place: Place, message: str) -> ConfigError:
        """An error at a place of the document (at its nearest written parent)."""
        known = place
        while known and known not in self.lines:
            known = known[:-1]
        where = f"{'.'.join(place)}: " if place else ""
        return ConfigError(f"{self.path}:{self.lines.get(known, 1)}: {where}{message}")

    def read(self, value: Json, kind: Json, place: Place) -> Json:
        """`value` converted to `kind`. Raises ConfigError."""
        try:
            return msgspec.convert(value, kind, dec_hook=hook)
        except msgspec.ValidationError as error:
            raise self._explain(str(error), value, kind, place) from error

    def _explain(self, message: str, value: Json, kind: Json, place: Place) -> ConfigError:
        """The error for a complaint of msgspec about `value`, in words for who wrote the file."""
        text, _, inner = message.partition(" - at `$")
        steps = tuple(re.findall(r"[A-Za-z_0-9]+", inner))
        for step in steps:
            value = _inside(value, step)
        return self.error((*place, *steps), _worded(text, value, kind, steps))


def _worded(text: str, value: Json, kind: Json, steps: Place) -> str:
    """What was expected, and the `value` that stands there instead."""
    if steps and steps[-1] == "op":
        return f"expected one of {', '.join(sorted(_tags(kind)))}, got {value!r}"
    if text.startswith("Invalid enum value"):
        return f"expected one of {', '.join(_choices(kind, steps[-1]))}, got {value!r}"
    if isinstance(value, dict):
        return _about_keys(plain(text), value)
    if repr(value) in text:
        return plain(text)
    return f"{plain(re.sub(', got `.*`$', '', text))}, got {value!r}"


def _inside(value: Json, step: str) -> Json:
    """What a mapping or a list holds at one step of a path."""
    if isinstance(value, dict):
        return value.get(step)
    return value[int(step)] if isinstance(value, list) and step.isdecimal() else value


def _about_keys(text: str, value: dict[Json, Json]) -> str:
    """A complaint about the keys of a mapping. YAML reads `{is: max(a, b)}` as two keys."""
    if any(words is None for words in value.values()):
        return f'inside braces a comma ends a value: put it in quotes, as in "max(a, b)" ({text})'
    return text


def mapping(source: Source, value: Json, place: str) -> dict[str, Json]:
    """The section `place`, whose keys are names. Raises ConfigError."""
    if not isinstance(value, dict) or not all(
        isinstance(key, str) and key.isidentifier() for key in value
    ):
        raise source.error((place,), "expected a mapping of names made of letters, digits and _")
    return value


def _tags(kind: Json) -> list[str]:
    return [str(option.__struct_config__.tag) for option in getattr(kind, "__args__", (kind,))]


def _choices(kind: Json, name: str) -> list[str]:
    """The words the literal `name` of a struct (or of one of a union) may be."""
    for option in getattr(kind, "__args__", (kind,)):
        hint = get_type_hints(option).get(name)
        for literal in (hint, *get_args(hint)):
            if get_origin(literal) is Literal:
                return [str(word) for word in get_args(literal)]
    return []
