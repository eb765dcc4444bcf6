"""What several commands share: options that stand for settings, and how results are printed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.client import Client
    from tidegate.settings import Settings

ProfileOption = Annotated[
    str, typer.Option("--profile", help="Name in profiles/, or a path. [TIDEGATE_PROFILE]")
]
KafkaOption = Annotated[
    str, typer.Option("--kafka", metavar="HOST:PORT", help="A Kafka of your own. [TIDEGATE_KAFKA]")
]
DbOption = Annotated[
    str, typer.Option("--db", metavar="URL", help="SQLAlchemy URL of the database. [TIDEGATE_DB]")
]
LabelOption = Annotated[
    str,
    typer.Option(
        "--label",
        help="The file's column with the verdicts; by default history.label of the profile, or "
        "`label`.",
    ),
]
MaxRefusedOption = Annotated[
    str,
    typer.Option(
        "--max-refused",
        metavar="SHARE",
        help="The largest share of rows that may be refused, such as 5% or 0.05; more stop it.",
    ),
]
MlflowOption = Annotated[
    str,
    typer.Option(
        "--mlflow",
        metavar="URL",
        help="An MLflow server that gets this training as a run. [TIDEGATE_MLFLOW]",
    ),
]
UrlOption = Annotated[
    str,
    typer.Option(
        "--url", help="Address of the API. [TIDEGATE_API, or TIDEGATE_HOST and TIDEGATE_PORT]"
    ),
]
KeyFileOption = Annotated[
    str,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="File with the key that the API asks for. [TIDEGATE_KEY_FILE, or TIDEGATE_KEY]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


def settings_with(**options: str) -> Settings:
    """The settings, overridden by the options that are not empty.

    The options hold in every process started from here, too.

    Raises ConfigError naming the variable that is wrong.
    """
    from pydantic import ValidationError

    from tidegate.settings import Settings

    if db := options.get("db", ""):
        check_db_option(db)
        options |= {"db_read": db, "db_migrate": db}  # not those of another database
    os.environ.update(
        {f"TIDEGATE_{name.upper()}": value for name, value in options.items() if value}
    )
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"TIDEGATE_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()
        )
        raise ConfigError(f"settings: {faults}") from None


def check_db_option(url: str) -> None:
    """Raises ConfigError for a URL with a password: every user of the machine reads arguments."""
    parts = urlsplit(url)
    if parts.password or "password=" in parts.query:
        raise ConfigError(
            "--db: a password has no place in an argument, which every user of this machine can "
            "read: set TIDEGATE_DB, or keep the password in ~/.pgpass"
        )


def api_client(settings: Settings, url: str) -> Client:
    """A client of the API with the settings' key. Raises ConfigError for a file without a key."""
    from tidegate.client import Client

    address = url or settings.api or f"http://{settings.host}:{settings.port}"
    return Client(address, key=key_shown(settings))


def key_shown(settings: Settings) -> str:
    """The key that this command shows, "" for none. Raises ConfigError for a file without one."""
    if key := settings.key.get_secret_value():
        return key
    if settings.key_file is None or settings.auth == "off":  # Compose names its file in any case
        return ""
    try:
        key = settings.key_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"TIDEGATE_KEY_FILE {settings.key_file}: {error}") from error
    if not key.isascii() or len(key.split()) != 1:
        raise ConfigError(f"TIDEGATE_KEY_FILE {settings.key_file}: it does not hold one key")
    return key


def share(option: str, text: str) -> float:
    """A share such as `5%` or `0.05`. Raises ConfigError."""
    number = text.removesuffix("%")
    try:
        found = float(number) / (100 if number != text else 1)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise ConfigError(f"{option} {text!r}: expected a share such as 5% or 0.05, at most 100%")
    return found


def period(since: str, until: str) -> tuple[int | None, int | None]:
    """First and last moment of the days, in us; None where an option is empty.

    Raises ConfigError for what is no date, and for a period that ends before it begins.
    """
    begin, end = _day_us("--since", since), _day_us("--until", until)
    if begin is not None and end is not None and begin >= end:
        raise ConfigError(f"--since {since} does not lie before --until {until}")
    return begin, end


def day(option: str, text: str) -> date | None:
    """The date an option names; None for an empty one. Raises ConfigError for what is no date."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise ConfigError(f"{option} {text!r}: expected a date such as 2026-01-31") from error


def _day_us(option: str, text: str) -> int | None:
    found = day(option, text)
    if found is None:
        return None
    return int(datetime.combine(found, time(), UTC).timestamp()) * 1_000_000


def ranges(numbers: list[int]) -> str:
    """Partitions for people: `0-2,5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, default=str))


def command_name() -> str:
    """How this very command is typed here: `tidegate`, or its path where that is not on PATH."""
    own = Path(sys.executable).parent / "tidegate"
    on_path = shutil.which("tidegate")
    if not own.exists() or (on_path and own.samefile(on_path)):
        return "tidegate"
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def typeable(text: str) -> str:
    """The text with every hint like `tidegate status` as it can be typed here."""
    return text.replace("`tidegate ", f"`{command_name()} ")


def say(text: str) -> None:
    """A remark for people, beside the command's output."""
    typer.echo(f"tidegate: {text}", err=True)
