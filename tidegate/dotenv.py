r"""`.env` as Docker Compose reads it too: what the two, or two versions of Compose, could read
differently is refused.

Compose puts variables in place of `$NAME`, unless it stands in single quotes, and takes `\` in
quotes for the beginning of something. A `#` without a space before it begins a comment in some of
its versions, and one right behind `= ` is the value in 2.40. So of its syntax that part is read
which means one thing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from tidegate.errors import ConfigError

FILE = Path(".env")
_PREFIX = "TIDEGATE_"
_OURS = re.compile(rf"\s*(?:export\s+)?(?P<name>{_PREFIX}\w*)(?P<rest>.*)", re.ASCII | re.DOTALL)
_QUOTED = re.compile(r"""(?:'(?P<single>[^'\\]*)'|"(?P<double>[^"\\$]*)")[ \t]*(?: #.*)?""")


class DotenvSource(PydanticBaseSettingsSource):
    """Where pydantic-settings looks after the environment: `.env` in the working directory."""

    def __init__(self, settings: type[BaseSettings], file: Path = FILE) -> None:
        super().__init__(settings)
        self._file = file

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the port's signature
        """The value of one setting."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values that the file has for settings; an empty one is none."""
        found = read(self._file)
        names = {name: f"{_PREFIX}{name.upper()}" for name in self.settings_cls.model_fields}
        return {name: found[variable] for name, variable in names.items() if found.get(variable)}


def read(file: Path) -> dict[str, str]:
    """The variables TIDEGATE_* of a file; none where there is no file.

    Raises ConfigError naming the line of the first that could be read in two ways.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    found = {}
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if ours := _OURS.fullmatch(line):
            found[ours["name"]] = _value(f"{file}, line {number}", ours["name"], ours["rest"])
    return found


def _value(where: str, name: str, rest: str) -> str:
    value, wrong = _meant(rest)
    if wrong:
        raise ConfigError(
            f"{where}: {name}: {wrong}, which Docker Compose and Tidegate could read differently. "
            "In single quotes all is read as it stands, but for quotes and backslashes: what has "
            "those goes into the environment itself"
        )
    return value


def _meant(rest: str) -> tuple[str, str]:
    """What stands behind a name, as its value and what is wrong with it."""
    sign, _, raw = rest.lstrip(" \t").partition("=")
    if sign or "=" not in rest:
        return "", "it has no = behind its name"
    text = raw.lstrip(" \t")
    if text.startswith(("'", '"')):
        return _quoted(text)
    if text.startswith("#"):
        return "", "it begins with a # without quotes"
    text = raw.partition(" #")[0].strip(" \t")
    wrong = next((char for char in text if char in "$#" or _odd(char)), "")
    return text, f"it has {wrong!r} without quotes" if wrong else ""


def _quoted(text: str) -> tuple[str, str]:
    match = _QUOTED.fullmatch(text)
    if match is None:
        return "", "its quotes hold a $, a quote or a backslash, or something stands behind them"
    value = match["single"] if match["single"] is not None else match["double"]
    return value, "it has an odd space or a control character" if any(map(_odd, value)) else ""


def _odd(char: str) -> bool:
    """Spaces and control characters that not everybody takes for such."""
    return char not in " \t" and not char.isprintable()
