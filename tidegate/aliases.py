"""The stream detector's environment variables, as names of settings: under profile `vector` only,
since names as common as LOG_LEVEL mean something else wherever that project was never run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from tidegate.errors import ConfigError

PROFILE = "vector"
ALIASES = {
    "KAFKA_BROKERS": "kafka",
    "MODEL_PATH": "bundles",
    "MODEL_TYPE": "detect_model",
    "THRESHOLD": "detect_threshold",
    "RETRAIN_INTERVAL": "retrain_cron",
    "PROMETHEUS_PORT": "metrics_port",
    "LOG_LEVEL": "log_level",
}
"""Each stands for a setting, where that is not set by its own name."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


class AliasSource(PydanticBaseSettingsSource):
    """The last place where pydantic-settings looks before the defaults."""

    def __init__(
        self, settings: type[BaseSettings], environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(settings)
        self._environment = os.environ if environment is None else environment

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the port's signature
        """The value of one setting."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values that aliases give."""
        profile = self.current_state.get("profile", "")
        if Path(str(profile)).stem != PROFILE:
            return {}
        given = {
            setting: self._environment[name]
            for name, setting in ALIASES.items()
            if self._environment.get(name)
        }
        if "log_level" in given:
            given["log_level"] = given["log_level"].lower()
        if "retrain_cron" in given:
            given["retrain_cron"] = schedule(given["retrain_cron"])
            given["retrain"] = "true"
        return given


def schedule(seconds: str) -> str:
    """When a retraining every so many seconds is due, as minute, hour, day, month, weekday.

    Raises ConfigError unless they are minutes that divide an hour, hours that divide a day, or one
    day.
    """
    every = int(seconds) if seconds.isdigit() else 0
    if every == _DAY:
        return "0 0 * * *"
    if every >= _HOUR and every % _HOUR == 0 and _DAY % every == 0:
        return f"0 */{every // _HOUR} * * *"
    if every >= _MINUTE and every % _MINUTE == 0 and _HOUR % every == 0:
        return f"*/{every // _MINUTE} * * * *"
    raise ConfigError(
        f"RETRAIN_INTERVAL {seconds}: expected seconds that make minutes dividing an hour, hours "
        "dividing a day, or a day, as 3600; or set TIDEGATE_RETRAIN_CRON"
    )
