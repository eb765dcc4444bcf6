"""`tidegate quality` beside a real Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.migrate import migrate
from db.names import names_of
from tests.db.scored import Writer, values
from tests.system.pipeline import Pipeline
from tidegate.host.embedded import EmbeddedKafka, free_port
from tidegate.profile import load_profile

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    server = EmbeddedKafka(tmp_path_factory.mktemp("quality"), free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def home(broker: EmbeddedKafka, tmp_path: Path) -> Pipeline:
    """A home folder that nothing has run in."""
    pipeline = Pipeline(tmp_path / "home", env={"TIDEGATE_KAFKA": broker.address})
    done = pipeline.run("topics", "apply")
    assert done.returncode == 0, done.stderr
    return pipeline


def test_an_empty_home_is_said_to_be_empty(home: Pipeline) -> None:
    done = home.run("quality")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no transaction of profile card is decided yet" in done.stdout
    document = json.loads(home.run("quality", "--json").stdout)
    assert document == {"ages": [], "recall": None, "rows_of_other_versions": 0}


def test_rows_of_other_versions_are_mentioned(home: Pipeline) -> None:
    """The test's rows are of a profile of another hash than the one that runs."""
    url = f"sqlite:///{home.home / 'tidegate.db'}"
    home.home.mkdir(exist_ok=True)
    migrate(url)
    writer = Writer(url)
    writer.write(*values(["a", "b", "c"]))
    writer.sink.close()
    done = home.run("quality")
    assert done.returncode == 0, done.stderr
    assert "not counted: 3 rows" in done.stdout
    assert names_of(load_profile("card")).hash != "abcd1234"
