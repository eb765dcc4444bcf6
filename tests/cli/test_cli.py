from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cli.options import ranges
from cli.running.processes import parse_scale
from model.training.overrides import adjusted
from tidegate.clock import now_us
from tidegate.errors import ConfigError
from tidegate.profile import load_profile
from tidegate.profile.sample import sample

COMMANDS = [
    ["up"],
    ["run"],
    ["status"],
    ["send"],
    ["simulate"],
    ["feedback"],
    ["train"],
    ["backtest"],
    ["retrain"],
    ["redrive"],
    ["skip"],
    ["dead-letters"],
    ["doctor"],
    ["erase"],
    ["replay"],
    ["rescore"],
    ["quality"],
    ["topics", "apply"],
    ["topics", "check"],
    ["profile", "check"],
    *(
        ["models", what]
        for what in ("list", "show", "diff", "promote", "rollback", "history", "shadow", "compare")
    ),
    ["learner", "rollback"],
    *(["audit", what] for what in ("verify", "seal", "export")),
    *(["users", what] for what in ("add", "list", "password", "remove")),
    *(["keys", what] for what in ("create", "list", "revoke", "rotate")),
]


def tidegate(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", **env},
    )


@pytest.mark.processes
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    done = tidegate(*command, "--help")
    assert done.returncode == 0
    assert "Example: tidegate " + " ".join(command) in done.stdout


@pytest.mark.processes
def test_help_imports_nothing_heavy() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    tidegate("--help")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1.0
    done = subprocess.run(
        [sys.executable, "-c", "import cli, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"numpy", "pandas", "numba", "confluent_kafka", "pydantic", "sqlalchemy"} & set(
        done.stdout.split()
    )


@pytest.mark.processes
def test_wrong_settings_name_the_variable() -> None:
    done = tidegate("run", "score", TIDEGATE_BATCH="many")
    assert done.returncode == 78
    assert "TIDEGATE_BATCH" in done.stderr


@pytest.mark.processes
def test_an_unknown_stage_is_refused() -> None:
    done = tidegate("run", "nothing")
    assert (done.returncode, "preprocess" in done.stderr) == (78, True)


@pytest.mark.processes
def test_a_kafka_that_is_not_there_is_named() -> None:
    done = tidegate("topics", "check", "--kafka", "127.0.0.1:1")
    assert done.returncode == 78
    assert "127.0.0.1:1" in done.stderr


@pytest.mark.processes
def test_doctor_says_what_is_bad(tmp_path: Path) -> None:
    done = tidegate(
        "doctor",
        "--json",
        "--kafka",
        "127.0.0.1:1",
        TIDEGATE_HOME=str(tmp_path),
        TIDEGATE_PORT="15871",
        TIDEGATE_DASHBOARD_PORT="15872",
    )
    found = {result["check"]: result["ok"] for result in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found == {
        "python": True,
        "java": True,
        "disk": True,
        "ports": True,
        "kafka": False,
        "database": True,
        "profile": True,
        "topics": False,
        "producers": True,
    }


@pytest.mark.processes
def test_hints_name_the_command_as_it_can_be_typed(tmp_path: Path) -> None:
    here = Path(sys.executable).parent
    hidden = tidegate("doctor", TIDEGATE_HOME=str(tmp_path), TIDEGATE_KAFKA="")
    assert f"{here.name}/tidegate up` starts it" in hidden.stdout
    on_path = tidegate("doctor", TIDEGATE_HOME=str(tmp_path), PATH=f"{here}:/usr/bin:/bin")
    assert "`tidegate up` starts it" in on_path.stdout


@pytest.mark.processes
def test_profile_check_names_file_and_line(tmp_path: Path) -> None:
    good = tidegate("profile", "check", "card", "--json")
    assert json.loads(good.stdout)["entities"] == ["user_id", "merchant"]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(Path("profiles/card.yaml").read_text().replace("type: money", "type: coins"))
    done = tidegate("profile", "check", str(wrong))
    assert done.returncode == 78
    assert "wrong.yaml:" in done.stderr


@pytest.mark.parametrize(
    "option", ["score", "score=", "score=0", "score=65", "score=two", "nothing=1", "learn=2"]
)
def test_wrong_scales_are_refused(option: str) -> None:
    with pytest.raises(ConfigError, match="--scale"):
        parse_scale([option])


def test_scales_add_up() -> None:
    assert parse_scale(["score=3", "preprocess-2=2"]) == {"score": 3, "preprocess-2": 2}


def test_ranges() -> None:
    assert ranges([5, 0, 1, 2]) == "0-2,5"
    assert ranges([]) == ""


@pytest.mark.parametrize("name", sorted(path.stem for path in Path("profiles").glob("*.yaml")))
def test_the_line_to_try_fits_the_profile(name: str) -> None:
    profile = load_profile(name)
    assert profile.faults(json.dumps(sample(profile, now_us())).encode()) == []


def test_one_training_may_take_other_samples_and_epochs(tmp_path: Path) -> None:
    path = tmp_path / "neural.yaml"
    path.write_text(
        load_profile("vector")
        .path.read_text()
        .replace("  online: {rate: 0.01}", "  vae: {hidden: 4}")
    )
    profile = load_profile(str(path))
    changed = adjusted(profile, samples=2000, epochs=3)
    assert (changed.history.simulate, changed.models.settings["vae"]) == (
        2000,
        {"hidden": 4, "epochs": 3},
    )
    assert (profile.history.simulate, profile.models.settings["vae"]) == (60_000, {"hidden": 4})
    assert changed.hash == profile.hash
    with pytest.raises(
        ConfigError,
        match="names no neural model; there are autoencoder, keras, lstm_autoencoder, vae",
    ):
        adjusted(load_profile("vector"), epochs=3)
    profile.history.simulate, profile.history.file = 0, "payments.csv"
    with pytest.raises(ConfigError, match=r"trains on payments\.csv"):
        adjusted(profile, samples=2000)


def test_one_training_may_take_other_settings() -> None:
    profile = load_profile("vector")
    changed = adjusted(
        profile, changes=["isolation_forest.trees=50", "online.rate=0.02"], contamination=0.1
    )
    assert changed.models.settings["isolation_forest"] == {"trees": 50}
    assert changed.models.settings["online"] == {"rate": 0.02}
    shares = changed.models.thresholds.contamination
    assert shares is not None
    assert (shares.review, shares.block) == (0.1, pytest.approx(0.01))
    assert profile.models.settings["isolation_forest"] == {}
    assert changed.hash == profile.hash
    for wrong in ("vae.code=2", "trees=50", "isolation_forest.trees=many", "online.rate=1.2.3"):
        with pytest.raises(ConfigError, match=f"--set {re.escape(wrong)}"):
            adjusted(profile, changes=[wrong])
