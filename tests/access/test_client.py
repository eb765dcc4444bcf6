"""Commands that post: where they have their key from."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from cli.options import api_client, settings_with
from tests.access.web import applications, key
from tests.producers.running_api import Api, Faulty, Quiet
from tidegate.access.keys import new_key
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.errors import ConfigError
from tidegate.settings import Settings


def test_a_client_shows_its_key_or_says_what_is_asked_for(tmp_path: Path) -> None:
    with applications(tmp_path, auth="keys") as (api, _):
        faultless = Api("", MemoryBroker({}), "")
        server = make_server("127.0.0.1", 0, Faulty(api, faultless), request_handler=Quiet)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url, file = f"http://127.0.0.1:{server.server_port}", tmp_path / "key"
        try:
            text = key(tmp_path, "reader", "read")
            file.write_text(f"{text}\n")
            for settings in (Settings(key=text), Settings(key_file=file)):
                assert api_client(settings, url).get("/v1/transactions")[0] == 200
            with pytest.raises(ConfigError, match=r"scope ingest.* --key-file"):
                api_client(Settings(key_file=file), url).post("/v1/transactions", b"{}")
            for wrong in (Settings(), Settings(key=new_key())):
                with pytest.raises(ConfigError, match="TIDEGATE_KEY or --key-file"):
                    api_client(wrong, url).get("/v1/transactions")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.mark.parametrize("content", [None, b"", b"two keys\n", b"\xff\xfe", "kľúč".encode()])
def test_a_file_without_a_key_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"TIDEGATE_KEY_FILE {file}"):
        api_client(Settings(key_file=file), "http://127.0.0.1:1")
    api_client(Settings(key_file=file, auth="off"), "http://127.0.0.1:1").close()


def test_a_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_KEY", "tidegate_very_secret")
    assert "very_secret" not in repr(settings_with())
