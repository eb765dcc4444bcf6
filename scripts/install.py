"""Installs by uv as pip would here: arguments are those of `pip install`.

uv reads no configuration of pip's. What pip's environment variables and files say of where packages
come from is handed on; a variable of uv's own (UV_*) goes first.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "proxy": "ALL_PROXY",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
}
SEPARATORS = {"UV_FIND_LINKS": ","}  # pip and uv separate everything else by spaces
TRUE = ("1", "true", "yes", "on")


def pip_settings() -> dict[str, str]:
    """What pip is told for `pip install`: in its files, and over that in the environment."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    )
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.stdout.splitlines():  # section.name='value'
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in sections:
            sections[section][name] = ast.literal_eval(value)
    return {**sections["global"], **sections["install"], **sections[":env:"]}


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """The same settings as uv's variables."""
    values = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # pip takes all indexes for equal
    for name, variable in VARIABLES.items():
        if name in settings:
            values[variable] = SEPARATORS.get(variable, " ").join(settings[name].split())
    return {**values, **os.environ}


def main() -> int:
    """Run uv; returns its exit code."""
    settings = pip_settings()
    arguments = ["--no-index"] if settings.get("no-index", "").lower() in TRUE else []
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable]
    command += arguments + sys.argv[1:]
    run = subprocess.run(command, env=uv_environment(settings), check=False)  # noqa: S603 - uv
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
