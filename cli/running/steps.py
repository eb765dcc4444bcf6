"""The steps of a start between an answering broker and open gates."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tidegate.broker.kafka import KafkaBroker
from tidegate.errors import ConfigError
from tidegate.host.embedded import reachable
from tidegate.topics import apply_topics, check_topics, load_topics

if TYPE_CHECKING:
    from tidegate.profile import Profile
    from tidegate.settings import Settings

_LOG = logging.getLogger(__name__)
_METADATA_SECONDS = 60.0


def broker_answers(settings: Settings) -> bool:
    """Whether Kafka takes requests.

    Raises ConfigError with the mend when a Kafka elsewhere does not.
    """
    if settings.kafka:
        KafkaBroker(settings).check()
        return True
    return reachable(settings.kafka_address)


def make_topics(settings: Settings) -> None:
    """Create the topics that are missing.

    Raises ConfigError when one is not as topics.yaml says.
    """
    broker, topics = KafkaBroker(settings), load_topics(settings.topics_file, settings.replication)
    deadline = time.monotonic() + _METADATA_SECONDS if apply_topics(broker, topics) else 0.0
    while (faults := check_topics(broker, topics)) and time.monotonic() < deadline:
        time.sleep(0.1)  # brokers learn of new topics a moment after the controller
    if faults:
        raise ConfigError(f"topics are not as {settings.topics_file} says: {'; '.join(faults)}")


def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema."""
    from db.migrate import migrate as migrate_database

    migrate_database(settings.db_migrate_url)


def has_bundle(settings: Settings, profile: Profile) -> bool:
    """Whether there is a model of this profile."""
    return bundle_of(settings, profile) is not None


def bundle_of(settings: Settings, profile: Profile) -> str | None:
    """The hash of the newest bundle of this profile that there is. Raises Retry."""
    from model.bundles.catalog import entries, may_score
    from model.bundles.shared import local_bundles

    mine = [
        entry
        for entry in entries(local_bundles(settings))
        if entry.manifest and may_score(entry.manifest, profile)
    ]
    return mine[0].hash if mine else None


def keep_own_rules(settings: Settings, profile: Profile) -> None:
    """Keep the rules of the profile on topic promotions while they are in force. Raises Retry."""
    from model.bundles.policies import keep_own

    keep_own(KafkaBroker(settings), profile)


def promote_first(settings: Settings, profile: Profile) -> str:
    """Make the newest bundle the champion on topic models, unless this profile has one already.

    The version of Tidegate before named the profile otherwise: its champion stays champion. A
    system needs some champion, so one that is no better than chance becomes it too: the result
    warns of such a champion, and is empty for any other.
    """
    from db.audit import Act, tell
    from model.bundles.catalog import warning_of
    from model.bundles.promotion import current_champion, promote

    broker = KafkaBroker(settings)
    current = current_champion(broker, profile.hash.decode())
    if current:
        return warning_of(settings.bundles_dir, current.champion.bundle)
    before = current_champion(broker, profile.version.decode())
    bundle = before.champion.bundle if before else bundle_of(settings, profile)
    if bundle is None:
        raise ConfigError(
            f"no bundle of profile {profile.name} in {settings.bundles_dir}: run `tidegate train`"
        )
    if remark := tell(settings.db_url, Act("tidegate up", "model promoted", bundle)):
        _LOG.warning("%s", remark)
    promote(broker, bundle, profile.hash.decode(), by="tidegate up")
    return warning_of(settings.bundles_dir, bundle)
