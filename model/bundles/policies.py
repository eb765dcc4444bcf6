"""The policy in force, as a message on topic `models`, and all that ever were on `promotions`.

The profile's own rules, which hold until one is applied, are on `promotions` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from model.bundles.manifest import read_manifest
from model.bundles.promotion import model_message, newest_message, role_key
from model.ensemble.thresholds import Rule, rule
from model.policy.compiled import CompiledPolicy
from tidegate.broker.ports import Broker
from tidegate.broker.write import write
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import encode
from tidegate.messages.policy import AppliedPolicy, Policy
from tidegate.pipeline import MODELS, PROMOTIONS
from tidegate.profile import Profile
from tidegate.stream.side_topic import read_partition

BY_PROFILE = "profile"
"""Who brought rules that stand in the profile."""


class Overtaken(Retry):
    """Another policy came into force meanwhile; nothing was changed."""


def publish_policy(
    broker: Broker,
    profile: Profile,
    policy: Policy,
    *,
    by: str,
    proposed_by: str = "",
    instead_of: str | None = None,
) -> AppliedPolicy:
    """Bring a policy into force; the message is durable when this returns.

    `instead_of` is the version that its author began with ("" for none): one that came between is
    not undone. Raises PolicyFault, Overtaken, Retry.
    """
    CompiledPolicy(policy, profile)
    name = profile.hash.decode()
    if instead_of is not None:
        version = in_force(profile, current_policy(broker, name)).version
        if version != instead_of:
            raise Overtaken(
                f"version {version} has come into force since you began with {instead_of}: look at "
                "it, and make your change again"
            )
    applied = AppliedPolicy(policy, policy.version, name, now_us(), by, proposed_by)
    for topic in (PROMOTIONS, MODELS):
        what = f"the policy {policy.version}"
        write(broker, topic, role_key("policy", name), encode(applied), what=what, timeout=30.0)
    return applied


def keep_own(broker: Broker, profile: Profile) -> None:
    """Keep the profile's own rules on topic promotions where they come into force: the file may be
    edited, and the rows that they decided name their version. Raises PolicyFault, Retry.
    """
    own, name = profile.policy, profile.hash.decode()
    if not own.rules or current_policy(broker, name):
        return
    CompiledPolicy(own, profile)
    newest = ""
    for applied in policy_history(broker, name):
        newest = applied.version
    if newest != own.version:
        kept = AppliedPolicy(own, own.version, name, now_us(), BY_PROFILE)
        what = f"the profile's rules {own.version}"
        key = role_key("policy", name)
        write(broker, PROMOTIONS, key, encode(kept), what=what, timeout=30.0)


def current_policy(broker: Broker, profile: str, *, timeout: float = 30.0) -> AppliedPolicy | None:
    """The newest policy that was applied to a profile (hash), or None.

    Raises ConfigError when there is no topic, Retry after `timeout` s.
    """
    newest = newest_message(broker, AppliedPolicy, profile, timeout)
    return newest[0] if newest else None


def in_force(profile: Profile, applied: AppliedPolicy | None) -> Policy:
    """What was applied, else the profile's own rules."""
    return applied.policy if applied else profile.policy


def policy_history(broker: Broker, profile: str) -> Iterator[AppliedPolicy]:
    """All that were ever in force in a profile (hash), oldest first. Raises Retry, ConfigError."""
    for batch in read_partition(broker, PROMOTIONS, 0):
        for value in batch.values:
            message = model_message(value)
            if isinstance(message, AppliedPolicy) and message.profile == profile:
                yield message


class Policies:
    """Policies of any time by their version, as rows name them."""

    def __init__(self, broker: Broker, profile: Profile) -> None:
        self._broker, self._profile = broker, profile
        self._known: dict[str, Policy] = {profile.policy.version: profile.policy}

    def get(self, version: str) -> Policy:
        """Raises ConfigError for one that the topic does not have, Retry."""
        if version not in self._known:
            for applied in policy_history(self._broker, self._profile.hash.decode()):
                self._known[applied.version] = applied.policy
        if version not in self._known:
            raise ConfigError(
                f"the policy {version} is neither on the topic {PROMOTIONS} nor the profile's own: "
                "name the profile's file of that time by --profile"
            )
        return self._known[version]

    def decided_by(self, version: str | None, bundles: Path, bundle: str) -> Rule:
        """The thresholds of a row that names this policy and bundle: those of the policy where it
        sets any, else the bundle's own. Raises ConfigError where one is gone, Retry.
        """
        chosen = self.get(version).thresholds if version else {}
        return rule(chosen or read_manifest(bundles / bundle).thresholds)

    def compiled(self, version: str) -> CompiledPolicy | None:
        """One made ready; None for "" (no policy was in force). Raises as `get`, PolicyFault."""
        return CompiledPolicy(self.get(version), self._profile) if version else None
