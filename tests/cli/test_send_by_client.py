"""`send` where each client has ids of its own: one does not go by the other's journal."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from cli import app
from db.keys import create
from tests.producers.running_api import serve
from tests.web import transaction
from tidegate.clock import now_us
from tidegate.pipeline import RAW
from tidegate.profile import load_profile


def test_two_clients_send_the_same_file(tmp_path: Path) -> None:
    path, rows = tmp_path / "card.yaml", tmp_path / "rows.jsonl"
    path.write_text(load_profile("card").path.read_text() + "\nids: per_client\n")
    profile = load_profile(path)
    rows.write_text("".join(json.dumps(transaction(f"t-{n}")) + "\n" for n in range(3)))
    with serve(profile, tmp_path, auth="keys") as api:
        keys = {
            name: create(api.database, name, ["ingest"], now_us())[1] for name in ("shop", "bank")
        }

        def accepted(client: str) -> int:
            command = ["send", str(rows), "--profile", str(path), "--no-wait", "--url", api.url]
            env = {"TIDEGATE_KEY": keys[client], "TIDEGATE_HOME": str(tmp_path)}
            done = CliRunner().invoke(app, [*command, "--json"], env=env)
            assert done.exit_code == 0, done.output
            return int(json.loads(done.output)["accepted"])

        assert [accepted(client) for client in ("shop", "bank", "shop", "bank")] == [3, 3, 0, 0]
        sent = {
            profile.id_of(profile.decode(record.value or b""))
            for _, _, record in api.broker.committed_records(RAW)
        }
    assert sent == {f"{client}:t-{number}" for client in keys for number in range(3)}
