"""The one place where settings are read: environment (TIDEGATE_*), then `.env`, then these
defaults.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tidegate.aliases import AliasSource
from tidegate.dotenv import DotenvSource
from tidegate.errors import ConfigError

_SHORTEST_KEY = 32
"""Characters of the key of tokens."""


class Settings(BaseSettings):
    """All settings of all processes. The names in upper case with TIDEGATE_ before them are the
    variables.
    """

    model_config = SettingsConfigDict(
        env_prefix="TIDEGATE_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where settings are looked for, the first place first."""
        aliases = AliasSource(settings_cls)
        return (
            init_settings,
            env_settings,
            DotenvSource(settings_cls),
            file_secret_settings,
            aliases,
        )

    home: Path = Field(
        Path("var"), description="where broker log, database, bundles, snapshots and logs lie"
    )
    profile: str = Field("card", description="name in profiles/, or a path to a profile")
    topics_file: Path = Field(Path("topics.yaml"), description="the list of topics")
    host: str = Field("127.0.0.1", description="where API, results page and metrics listen")
    port: int = Field(5000, description="port of the API")
    api: str = Field(
        "",
        description="address of the API, for commands and pages that post; empty: by "
        "TIDEGATE_HOST and TIDEGATE_PORT",
    )
    dashboard_port: int = Field(5001, description="port of the results page")
    auth: Literal["auto", "keys", "off"] = Field(
        "auto",
        description="whether API and results page ask for keys; auto: unless they listen on "
        "loopback; off: never",
    )
    hosts: str = Field(
        "",
        description="names of a proxy before a loopback address, with commas: others are refused "
        "where no key is asked for",
    )
    key: SecretStr = Field(
        SecretStr(""), description="key that this command shows to the API; never logged"
    )
    key_file: Path | None = Field(None, description="file with that key")
    token_key: SecretStr = Field(
        SecretStr(""),
        description="key of the tokens that stand for personal data, 32 characters at least; never "
        "logged",
    )
    token_key_file: Path | None = Field(None, description="file with that key")
    jwt_issuer: str = Field(
        "", description="whose JSON Web Tokens the API takes beside keys: their claim iss"
    )
    jwt_audience: str = Field("", description="what their claim aud must name")
    jwt_keys: str = Field(
        "", description="the issuer's public keys, a JWK set: a file, or an https address"
    )
    jwt_rate: int = Field(
        0,
        ge=0,
        description="transactions, verdicts and other requests a second that a worker takes of "
        "each subject of these tokens; 0: any",
    )
    oidc_issuer: str = Field(
        "",
        description="https address of an OpenID provider by which people sign in to the pages",
    )
    oidc_client: str = Field("", description="the results page's client id there")
    oidc_secret_file: Path | None = Field(None, description="file with that client's secret")
    oidc_address: str = Field(
        "", description="address of the results page in a browser, such as https://fraud.example"
    )
    oidc_claim: str = Field("roles", description="claim of its id tokens that names the role")
    metrics_port: int = Field(
        0, description="where this process serves /metrics and /healthz; 0: any free port"
    )
    kafka: str = Field("", description="HOST:PORT of a Kafka; empty: the embedded one")
    kafka_port: int = Field(9092, description="port of the embedded Kafka")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="protocol of that Kafka's listener"
    )
    kafka_ca: Path | None = Field(
        None, description="file with the CA certificate that signed Kafka's"
    )
    kafka_user: str = Field("", description="user name for SASL")
    kafka_password: SecretStr = Field(SecretStr(""), description="password for SASL; never logged")
    kafka_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism"
    )
    replication: int = Field(
        0, description="replication factor of all topics; 0: as topics.yaml says"
    )
    db: SecretStr = Field(
        SecretStr(""),
        description="SQLAlchemy URL; empty: SQLite in the home folder; never logged",
    )
    db_read: SecretStr = Field(
        SecretStr(""),
        description="URL for a user who only reads, for pages and GETs; empty: as TIDEGATE_DB",
    )
    db_migrate: SecretStr = Field(
        SecretStr(""),
        description="URL for the user who owns the tables, for `setup`; empty: as TIDEGATE_DB",
    )
    db_read_seconds: float = Field(
        10.0,
        ge=0,
        description="longest that PostgreSQL works at a query of a page or GET; 0: any time",
    )
    retention_days: int = Field(
        0, ge=0, description="days after which `persist` deletes rows; 0: they stay"
    )
    snapshots: str = Field(
        "", description="fsspec URL of the snapshot folder; empty: in the home folder"
    )
    bundles: str = Field(
        "",
        description="folder of model bundles, or fsspec URL, of which the home folder has copies; "
        "empty: in the home folder",
    )
    batch: int = Field(10_000, ge=1, le=100_000, description="most records in one transaction")
    four_eyes: bool = Field(
        False,
        description="whether rules, lists and thresholds need a second person to come into force",
    )
    detector_seconds: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="longest that a batch waits for one detector; 0: until it has scored",
    )
    snapshot_every: int = Field(
        200_000, ge=1, description="records of a partition between two snapshots"
    )
    hold_seconds: float = Field(
        60.0,
        gt=0,
        description="how long a partition with too many rejects is held before it is tried again",
    )
    max_body: int = Field(8_000_000, description="largest request body in bytes")
    max_batch: int = Field(5000, description="most transactions in one request")
    max_wait_ms: int = Field(10_000, description="longest ?wait_ms=")
    review_sample: float = Field(
        0.001,
        ge=0,
        le=1,
        description="share of the approved transactions that are reviewed whatever their score",
    )
    review_daily: int = Field(
        20, ge=0, description="most of these a day; 0: none of that share has a case"
    )
    detect_model: str = Field(
        "ensemble", description="whose score `POST /api/v1/detect` answers without a model_type"
    )
    detect_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="from which score on it says anomaly without a threshold; empty: as decided",
    )
    training_data: Path = Field(
        Path("data"), description="folder whose files `POST /api/v1/models/train` may name"
    )
    retrain: bool = Field(False, description="whether `tidegate up` retrains on a schedule")
    retrain_cron: str = Field(
        "0 2 * * sun", description="when: minute, hour, day, month, weekday; UTC"
    )
    retrain_days: int = Field(56, ge=1, description="how many days of rows a retraining reads")
    retrain_margin: float = Field(
        0.0, ge=0, le=1, description="average precision by which a challenger must be better"
    )
    retrain_psi: float = Field(
        1.0, gt=0, description="largest drift of an input (PSI) with which a retraining goes on"
    )
    retrain_drift: float = Field(
        0.0,
        ge=0,
        description="drift of an input or the score (PSI) above which a retraining runs daily; 0: "
        "never",
    )
    retrain_unlabelled: Literal["unknown", "legitimate"] = Field(
        "unknown",
        description="what a row without a verdict is taken for, once it is as old as the label "
        "delay",
    )
    webhook: str = Field(
        "", description="URL that gets a POST with the outcome of every retraining"
    )
    notify: Path | None = Field(
        None, description="notify.yaml: who is told of what; empty: nobody, and no stage `notify`"
    )
    mlflow: str = Field(
        "", description="address of an MLflow server that gets every training as a run"
    )
    instance: str = Field(
        "", description="stable name of this process; empty: stage, host and process id"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe line that is logged"
    )

    @cached_property
    def db_url(self) -> str:
        """It may hold a password: for the database only, never for a message or an argument."""
        given = self.db.get_secret_value()
        return given or f"sqlite:///{(self.home / 'tidegate.db').resolve()}"

    @cached_property
    def db_read_url(self) -> str:
        return self.db_read.get_secret_value() or self.db_url

    @cached_property
    def db_migrate_url(self) -> str:
        return self.db_migrate.get_secret_value() or self.db_url

    def token_secret(self) -> bytes:
        """The key of the tokens. Raises ConfigError where there is none, or it is too short."""
        key, named = self.token_key.get_secret_value(), "TIDEGATE_TOKEN_KEY"
        if not key and self.token_key_file is not None:
            named = f"TIDEGATE_TOKEN_KEY_FILE {self.token_key_file}"
            try:
                key = self.token_key_file.read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{named}: {error}") from error
        if len(key) < _SHORTEST_KEY:
            raise ConfigError(
                f"{named}: the profile keeps personal data as tokens (`store: token`), which need "
                f"a key of {_SHORTEST_KEY} characters at least, kept for good: without it nothing "
                "is found again. Make one by `openssl rand -base64 32`"
            )
        return key.encode()

    @cached_property
    def kafka_address(self) -> str:
        return self.kafka or f"127.0.0.1:{self.kafka_port}"

    @cached_property
    def snapshots_url(self) -> str:
        return self.snapshots or f"file://{(self.home / 'snapshots').resolve()}"

    @cached_property
    def bundles_dir(self) -> Path:
        """The folder; with a URL, that of this machine's copies."""
        local = self.bundles and not self.bundles_url
        return Path(self.bundles) if local else self.home / "bundles"

    @cached_property
    def bundles_url(self) -> str:
        """Empty where bundles lie in a folder."""
        return self.bundles if "://" in self.bundles else ""
