"""Kafka's users and what each may do, as access.yaml says. Run by Compose with the administrator's
certificate.

Running it again changes passwords and adds what is new; it takes nothing away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

READERS = "tidegate-reader-"
"""Groups of consumers that only assign: they commit nothing, yet librdkafka asks for their
coordinator.
"""
Operation, Resource, Pattern = AclOperation, ResourceType, ResourcePatternType


def password(user: str) -> str:
    """From the environment. Exits with the name of the variable that is not set."""
    name = f"KAFKA_PASSWORD_{user.upper().replace('-', '_')}"
    return os.environ.get(name) or sys.exit(f"access: {name} is not set")


def binding(
    user: str, resource: ResourceType, name: str, operation: AclOperation, *, prefix: bool
) -> AclBinding:
    """One right, from anywhere."""
    pattern = Pattern.PREFIXED if prefix else Pattern.LITERAL
    return AclBinding(
        resource, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW
    )


def bindings(user: str, rights: dict[str, Any]) -> Iterator[AclBinding]:
    """All of a user. A topic that ends with a dot stands for all that begin so."""
    for topic in (
        "transactions.",
        "models",
        "promotions",
        "operations",
        "status",
        "control",
        "audit",
    ):
        on_topic = [Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS]
        if rights.get("create") and topic != "audit":  # whose retention is the administrator's
            on_topic.append(Operation.ALTER_CONFIGS)
        for operation in on_topic:
            yield binding(user, Resource.TOPIC, topic, operation, prefix=topic.endswith("."))
    topics = [(topic, Operation.READ) for topic in rights.get("read", [])]
    topics += [(topic, Operation.WRITE) for topic in [*rights.get("write", []), "status"]]
    for topic, operation in topics:
        yield binding(user, Resource.TOPIC, topic, operation, prefix=topic.endswith("."))
    yield binding(user, Resource.GROUP, READERS, Operation.READ, prefix=True)
    if group := rights.get("group"):
        yield binding(user, Resource.GROUP, group, Operation.READ, prefix=group.endswith("."))
    if sees := rights.get("sees"):
        yield binding(user, Resource.GROUP, sees, Operation.DESCRIBE, prefix=sees.endswith("."))
    if transactions := rights.get("transactions"):
        yield binding(user, Resource.TRANSACTIONAL_ID, transactions, Operation.WRITE, prefix=True)
    yield binding(user, Resource.BROKER, "kafka-cluster", Operation.DESCRIBE, prefix=False)
    if rights.get("create"):
        yield binding(user, Resource.BROKER, "kafka-cluster", Operation.CREATE, prefix=False)


def main() -> None:
    """Make all users and rights. Raises KafkaException with the cluster's reason."""
    users: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("access.yaml").read_text()
    )
    admin = AdminClient(
        {
            "bootstrap.servers": os.environ["KAFKA_INTERNAL"],
            "security.protocol": "SSL",
            "ssl.ca.location": "/admin/ca.pem",
            "ssl.certificate.location": "/admin/admin.pem",
            "ssl.key.location": "/admin/admin.pem",
        }
    )
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    changes: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, scram, password(user).encode()) for user in users
    ]
    done: list[Future[None]] = [
        *admin.alter_user_scram_credentials(changes, request_timeout=30).values()
    ]
    wanted = [one for user, rights in users.items() for one in bindings(user, rights)]
    done += admin.create_acls(wanted, request_timeout=30).values()
    for future in done:
        future.result()
    sys.stdout.write(f"access: {len(users)} users, {len(wanted)} rights\n")


main()
