"""Reads YAML so that every complaint can name file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
import yaml

from tidegate.errors import ConfigError
from tidegate.profile.spec import Json, hook

Place = tuple[str, ...]


class Source:
    """A YAML document and the line of each of its keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        try:
            loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
            node = loader.get_single_node()
            self.document: Json = loader.construct_document(node) if node is not None else None
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not YAML: {error}") from error
        self._walk(node, ())
        if not isinstance(self.document, dict):
            raise self.error((), "expected a mapping")

    def _walk(self, node: yaml.Node | None, place: Place) -> None:
        if node is None:
            return
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
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
        found = re.fullmatch(r"(.*?)(?: - at `\$(.*)`)?", message, re.DOTALL)
        text, inner = (found[1], found[2] or "") if found else (message, "")
        steps = tuple(re.findall(r"[A-Za-z_0-9]+", inner))
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else value
        text = text[:1].lower() + text[1:]
        if steps and steps[-1] == "op":
            text = f"expected one of {', '.join(sorted(_tags(kind)))}, got {value!r}"
        elif text.startswith("invalid enum value"):
            text = f"expected one of {', '.join(_choices(kind, steps[-1]))}, got {value!r}"
        elif not isinstance(value, dict) and repr(value) not in text:
            text = re.sub(r", got `\w+`$", "", text) + f", got {value!r}"
        return self.error((*place, *steps), text)


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
