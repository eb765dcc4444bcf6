"""Which processes `tidegate up` runs, in the order of the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.errors import ConfigError
from tidegate.host.embedded import EmbeddedKafka
from tidegate.host.process import Child
from tidegate.host.spawn import tidegate
from tidegate.pipeline import SINGLE, STAGES, stage_names
from tidegate.profile import Profile
from tidegate.settings import Settings


def parse_scale(options: Sequence[str]) -> dict[str, int]:
    """STAGE=N options as a mapping. Raises ConfigError naming the option that is wrong."""
    scales: dict[str, int] = {}
    for option in options:
        stage, _, number = option.partition("=")
        if stage not in STAGES or not number.isdecimal() or not 1 <= int(number) <= 64:
            raise ConfigError(
                f"--scale {option}: STAGE=N is expected, with N from 1 to 64 and STAGE one of "
                f"{', '.join(name for name in STAGES if name not in SINGLE)}"
            )
        if stage in SINGLE and int(number) > 1:
            raise ConfigError(f"--scale {option}: there is one {stage} process only")
        scales[stage] = int(number)
    return scales


def children(
    settings: Settings, profile: Profile, scales: Mapping[str, int], simulate: float
) -> list[Child]:
    """One child for each process; the first of a stage has the stage's name, so that its identity
    never changes.

    Raises ConfigError when persist is scaled on SQLite, which has one writer.
    """
    if scales.get("persist", 1) > 1 and settings.db_url.startswith("sqlite"):
        raise ConfigError("--scale persist: SQLite has one writer; use --db with a PostgreSQL URL")
    made = (
        [
            Child(
                "simulate",
                tidegate(
                    "simulate",
                    "--rate",
                    f"{simulate:g}",
                    "--url",
                    f"http://{settings.host}:{settings.port}",
                ),
                settings.home,
                gated=True,
                env={"TIDEGATE_GATED": "1"},
            )
        ]
        if simulate
        else []
    )
    for stage in [*(["retrain"] if settings.retrain else []), *stage_names(profile)]:
        for number in range(1, scales.get(stage, 1) + 1):
            name = stage if number == 1 else f"{stage}.{number}"
            made.append(
                Child(
                    name,
                    tidegate("run", stage),
                    settings.home,
                    gated=True,
                    env={"TIDEGATE_INSTANCE": name, "TIDEGATE_GATED": "1"},
                )
            )
    return made


def broker_child(settings: Settings) -> Child:
    """The embedded broker, prepared. Raises ConfigError when its folder cannot be."""
    embedded = EmbeddedKafka(settings.home, settings.kafka_port)
    embedded.prepare()
    return Child("kafka", embedded.command(), settings.home)
