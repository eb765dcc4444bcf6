"""How each stage that reads a topic is made: its module, and the parts that it needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tidegate.errors import ConfigError, Retry
from tidegate.pipeline import BY_ENTITY_2, FEATURES, RAW, SCORED, stage_inputs

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.messages.vault import Vault
    from tidegate.profile import Profile
    from tidegate.settings import Settings
    from tidegate.stream.stage import Stage

    Make = Callable[[Profile, Settings, Broker], Stage[Any]]


def _preprocess(step: int, profile: Profile, settings: Settings, broker: Broker) -> Stage[Any]:
    from consumers.erasable import keyed_step
    from consumers.warm_up import warm_up
    from model.sip import sip_key

    warm_up(profile, step)
    vault = _vault(profile, settings) if step == 0 else None
    return keyed_step(profile, step, sip_key(broker.cluster_id()), vault)


def _score(profile: Profile, settings: Settings, _broker: Broker) -> Stage[Any]:
    from consumers.score import ScoreStage
    from model.bundles.shared import shared_bundles

    shared = shared_bundles(settings)
    return ScoreStage(profile, settings.bundles_dir, settings.detector_seconds, shared)


def _persist(profile: Profile, settings: Settings, _broker: Broker) -> Stage[Any]:
    from consumers.persist import Persist
    from model.bundles.shared import shared_bundles

    shared = shared_bundles(settings)
    if vault := _vault(profile, settings):
        from consumers.erasable import ErasablePersist

        return ErasablePersist(profile, settings.bundles_dir, shared, vault)
    return Persist(profile, settings.bundles_dir, shared)


def _vault(profile: Profile, settings: Settings) -> Vault | None:
    """What a stage that looks into payloads needs; None where they are not encrypted."""
    if not profile.erasable:
        return None
    from db.account_keys import vault_of

    return vault_of(profile, settings.db_url)


def _label(profile: Profile, settings: Settings, broker: Broker) -> Stage[Any]:
    from consumers.label import LabelStage
    from db.store import Store
    from tidegate.status.drained import Drained

    store = Store(settings.db_read_url, profile)
    steps = list(stage_inputs(profile.steps).items())
    flow = [(stage, topic) for stage, topic in steps if topic in (RAW, BY_ENTITY_2, FEATURES)]
    drained = Drained(broker, flow, SCORED, store.positions)
    return LabelStage(
        profile,
        store.lookup,
        drained=drained,
        same_columns=lambda version: store.has_columns_of(version, profile),
    )


def _learn(profile: Profile, settings: Settings, broker: Broker) -> Stage[Any]:
    from consumers.learn import LearnStage
    from consumers.rewinding import checkpoints_of
    from model.bundles.bundle import Bundle
    from model.bundles.promotion import current_champion
    from model.bundles.published import label_history
    from model.bundles.shared import shared_bundles
    from tidegate.stream.snapshot import Snapshots

    promoted = current_champion(broker, profile.hash.decode())
    if promoted is None:
        raise Retry(
            f"no model of profile {profile.name} is promoted yet: run `tidegate train --promote`"
        )
    name = promoted.champion.bundle
    try:
        if shared := shared_bundles(settings):
            shared.fetch(name)
        bundle = Bundle.load(settings.bundles_dir / name)
    except ConfigError as error:  # the bundle may come yet, or another may be promoted
        raise Retry(f"nothing learns: {error}") from error
    learner = LearnStage(profile, bundle, label_history(broker), promoted.offset)
    snapshots = Snapshots(settings.snapshots_url)
    learner.checkpoints = checkpoints_of(learner, broker, snapshots)
    return learner


def _cases(_profile: Profile, _settings: Settings, _broker: Broker) -> Stage[Any]:
    from consumers.cases import CasesStage

    return CasesStage()


def _notify(profile: Profile, settings: Settings, _broker: Broker) -> Stage[Any]:
    from consumers.notify.running import Notifier

    return Notifier(profile, settings.notify, settings.db_url)


MAKERS: dict[str, tuple[str, Make]] = {
    "preprocess": ("consumers.preprocess", partial(_preprocess, 0)),
    "preprocess-2": ("consumers.preprocess", partial(_preprocess, 1)),
    "score": ("consumers.score", _score),
    "persist": ("consumers.persist", _persist),
    "label": ("consumers.label", _label),
    "learn": ("consumers.learn", _learn),
    "cases": ("consumers.cases", _cases),
    "notify": ("consumers.notify.running", _notify),
}
"""Each stage's module, imported while the gate is closed, and how to make the stage."""
