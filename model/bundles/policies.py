"""The policy in force, as a message on topic `models`; all that ever were are on `promotions`.

The profile's own rules, which hold until one is applied, are on `promotions` only.
"""

from __future__ import annotations

import logging

from model.bundles.past_policies import Policies
from model.bundles.promotion import newest_message, role_key
from model.policy.admission import admitted
from model.policy.compiled import CompiledPolicy
from model.policy.faults import PolicyFault
from tidegate.broker.ports import Broker
from tidegate.broker.write import write
from tidegate.clock import now_us
from tidegate.errors import Retry
from tidegate.messages.documents import encode
from tidegate.messages.policy import AppliedPolicy, Policy
from tidegate.pipeline import MODELS, PROMOTIONS
from tidegate.profile import Profile

_LOG = logging.getLogger(__name__)
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
    admitted(policy, profile)
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
    edited, and the rows that they decided name their version. Rules that may not be kept for good
    decide all the same; their rows are replayed with this file alone. Raises PolicyFault for those
    that cannot decide, Retry.
    """
    own, name = profile.policy, profile.hash.decode()
    if not own.rules or current_policy(broker, name):
        return
    CompiledPolicy(own, profile)
    try:
        admitted(own, profile)
    except PolicyFault as fault:
        told = "the rules of %s decide, but are not kept on topic %s; rows that they decided are "
        told += "replayed with this file alone: %s"
        _LOG.warning(told, profile.path, PROMOTIONS, fault)
        return
    past = Policies(broker, profile).history()
    if not past or past[-1].version != own.version:
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
