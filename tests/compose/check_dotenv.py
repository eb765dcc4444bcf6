"""Docker Compose itself reads what `tests/test_dotenv.py` says that it reads as Tidegate does."""

from __future__ import annotations

import json
from pathlib import Path

from tests.compose.stack import run
from tests.test_dotenv import ALIKE


def test_compose_reads_what_tidegate_reads(tmp_path: Path) -> None:
    names = {f"TIDEGATE_V{number}": text for number, text in enumerate(ALIKE)}
    (tmp_path / ".env").write_text("".join(f"{name}={text}\n" for name, text in names.items()))
    service = {"image": "none", "environment": {name: f"${{{name}}}" for name in names}}
    file = tmp_path / "docker-compose.yml"
    file.write_text(json.dumps({"services": {"one": service}}))
    files = ("--env-file", str(tmp_path / ".env"), "-f", str(file))
    told = run("docker", "compose", *files, "config", "--format", "json")
    found = json.loads(told)["services"]["one"]["environment"]
    assert [found[name].replace("$$", "$") for name in names] == list(ALIKE.values())
