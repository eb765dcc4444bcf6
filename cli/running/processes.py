"""Which processes `tidegate up` runs, in the order of the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.errors import ConfigError
from tidegate.host.embedded import EmbeddedKafka
from tidegate.host.process import Child
from tidegate.host.spawn import tidegate
from tidegate.pipeline import STAGES, stages_of
from tidegate.profile import Profile
from tidegate.settings import Settings

_MOST = 64


def parse_scale(options: Sequence[str]) -> dict[str, int]:
    """STAGE=N options as a mapping. Raises ConfigError naming the option that is wrong."""
    scales: dict[str, int] = {}
    for option in options:
        name, _, number = option.partition("=")
        stage = STAGES.get(name)
        if stage is None or not number.isdecimal() or not 1 <= int(number) <= _MOST:
            scaled = ", ".join(spec.name for spec in STAGES.values() if not spec.single)
            raise ConfigError(
                f"--scale {option}: STAGE=N is expected, with N from 1 to {_MOST} and STAGE one of "
                f"{scaled}"
            )
        if stage.single and int(number) > 1:
            raise ConfigError(f"--scale {option}: there is one {name} process only")
        scales[name] = int(number)
    return scales


def children(
    settings: Settings, profile: Profile, scales: Mapping[str, int], simulate: float
) -> list[Child]:
    """One child for each process.

    The first of a stage has the stage's name, so that its identity never changes.

    Raises ConfigError when persist is scaled on SQLite, which has one writer.
    """
    asked = {"retrain": settings.retrain, "notify": settings.notify is not None}
    stages = stages_of(
        len(profile.entities),
        learner=profile.models.learns,
        asked=[name for name, wanted in asked.items() if wanted],
    )
    for stage in stages:
        if stage.into_database and scales.get(stage.name, 1) > 1:
            _check_writers(stage.name, settings.db_url)
    simulators = [_simulator(settings, simulate)] if simulate else []
    return simulators + [
        _child(settings, stage.name, number)
        for stage in stages
        for number in range(1, scales.get(stage.name, 1) + 1)
    ]


def _check_writers(stage: str, db_url: str) -> None:
    if db_url.startswith("sqlite"):
        raise ConfigError(f"--scale {stage}: SQLite has one writer; use --db with a PostgreSQL URL")


def _simulator(settings: Settings, rate: float) -> Child:
    url = f"http://{settings.host}:{settings.port}"
    return Child(
        "simulate",
        tidegate("simulate", "--rate", f"{rate:g}", "--url", url),
        settings.home,
        gated=True,
        env={"TIDEGATE_GATED": "1"},
    )


def _child(settings: Settings, stage: str, number: int) -> Child:
    """Process `number` (from 1) of a stage."""
    name = stage if number == 1 else f"{stage}.{number}"
    return Child(
        name,
        tidegate("run", stage),
        settings.home,
        gated=True,
        env={"TIDEGATE_INSTANCE": name, "TIDEGATE_GATED": "1"},
    )


def broker_child(settings: Settings) -> Child:
    """The embedded broker, prepared. Raises ConfigError when its folder cannot be."""
    embedded = EmbeddedKafka(settings.home, settings.kafka_port)
    embedded.prepare()
    return Child("kafka", embedded.command(), settings.home)
