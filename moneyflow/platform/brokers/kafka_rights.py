"""Rights in Kafka: the passwords of its users, and what each may do; everything that is not granted is refused."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from moneyflow.platform.brokers.kafka import client_options, group_prefix, topic_name
from moneyflow.platform.errors import ConflictError
from moneyflow.platform.events.topics import DEAD_LETTER, event_topics
from moneyflow.platform.settings import KafkaSettings

#: The number of SCRAM-SHA-512 in Kafka's protocol, and the rounds of hashing: Kafka's least.
_SCRAM_SHA_512, _ITERATIONS = 2, 4096
_ANY_HOST, _ALLOW, _LITERAL = "*", 3, 3


class _Kind(IntEnum):
    TOPIC = 2
    GROUP = 3


class _Act(IntEnum):
    READ = 3
    WRITE = 4
    DESCRIBE = 8


@dataclass(frozen=True)
class _Right:
    user: str
    act: _Act
    kind: _Kind
    name: str


async def set_passwords(settings: KafkaSettings, passwords: Mapping[str, str]) -> None:
    """Create the users, or set their passwords; Kafka receives the salted hash of each, and never the password.

    Raises:
        ConflictError: Kafka refused a user; the text says why.
    """
    admin = AIOKafkaAdminClient(**client_options(settings, "migrate"), client_id="money-flow-users")
    await admin.start()
    try:
        request = _AlterScramRequest([_credential(user, password) for user, password in passwords.items()])
        answer = await admin._send_to_controller(request)  # noqa: SLF001 - aiokafka has no call for users
        for user, code, message, _ in answer.results:
            _raise_error(f"the password of {user} could not be set", code, message)
    finally:
        await admin.close()


async def grant_rights(settings: KafkaSettings, *, relay: str, operator: str, sinks: Mapping[str, str]) -> None:
    """Let the relay write events, each sink read them and write dead letters, the operator read both and see the lag.

    `relay` and `operator` are users, and `sinks` gives the users by sink.

    Raises:
        ConflictError: Kafka refused a right; the text says why.
    """
    admin = AIOKafkaAdminClient(**client_options(settings, "migrate"), client_id="money-flow-migrate")
    await admin.start()
    try:
        for right in _rights(settings, relay=relay, operator=operator, sinks=sinks):
            request = CreateAclsRequest(
                right.kind, right.name, _LITERAL, f"User:{right.user}", _ANY_HOST, right.act, _ALLOW
            )
            answer = await admin._send_to_controller(request)  # noqa: SLF001 - aiokafka has no call for rights
            for code, message in answer.creation_responses:
                _raise_error(f"{right} could not be granted", code, message)
    finally:
        await admin.close()


def _rights(settings: KafkaSettings, *, relay: str, operator: str, sinks: Mapping[str, str]) -> list[_Right]:
    events = [topic_name(settings, topic) for topic in event_topics()]
    found = [_Right(relay, _Act.WRITE, _Kind.TOPIC, topic) for topic in events]
    # Which includes to see how far each topic is.
    found += [_Right(operator, _Act.READ, _Kind.TOPIC, topic) for topic in (*events, topic_name(settings, DEAD_LETTER))]
    for sink, user in sinks.items():
        found += [_Right(user, _Act.READ, _Kind.TOPIC, topic) for topic in events]
        found.append(_Right(user, _Act.WRITE, _Kind.TOPIC, topic_name(settings, DEAD_LETTER)))
        group = group_prefix(settings) + sink
        found.append(_Right(user, _Act.READ, _Kind.GROUP, group))
        found.append(_Right(operator, _Act.DESCRIBE, _Kind.GROUP, group))
    return found


def _credential(user: str, password: str) -> tuple[Any, ...]:
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return user, _SCRAM_SHA_512, _ITERATIONS, salt, salted, {}


def _raise_error(what: str, code: int, message: str | None) -> None:
    if code:
        raise ConflictError(f"{what}: {message or for_code(code).__name__}; see Kafka's log")


class _AlterScramResponse(Response):  # type: ignore[misc] # aiokafka has no types
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterScramStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _AlterScramResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterScramRequest(Request[_AlterScramStruct]):  # type: ignore[misc]
    """Kafka's AlterUserScramCredentials, which aiokafka does not have."""

    API_KEY = 51

    def __init__(self, upsertions: Sequence[tuple[Any, ...]]) -> None:
        self._upsertions = upsertions

    def build(self, request_struct_class: type[_AlterScramStruct]) -> _AlterScramStruct:
        return request_struct_class([], list(self._upsertions), {})
