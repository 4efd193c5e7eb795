"""Job contracts: a frozen payload with a kind, a version, a priority and the policies by which it runs."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from moneyflow.platform.bounds import LONGEST_WAIT_SECONDS, is_count, is_wait
from moneyflow.platform.jobs.limits import Limit
from moneyflow.platform.jobs.policy import Breaker, RetryPolicy, Unique
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.payloads import Payload, Upgrade

PRIORITIES = range(11)
#: What Postgres's smallint holds.
_LAST_VERSION = 2**15 - 1
_KIND = Pattern(r"[a-z][a-z0-9_]{1,62}", longest=63)
_DEFAULT_RETRY, _DEFAULT_UNIQUE, _DEFAULT_BREAKER = RetryPolicy(), Unique(), Breaker()

#: Declared contracts by kind; filled when their modules are imported.
registry: dict[str, type["Job"]] = {}


class Job(Payload):
    """Base of all job contracts.

    A subclass names its `kind`, and its fields are the payload; all other options have defaults::

        class SendEmail(Job, kind="send_email", priority=5, limit=SMTP):
            template: str
            user_id: UUID

    `priority` is 0 to 10, and 10 runs first. `time_limit_seconds` is how long an attempt may take. `upgrades` holds
    the function that upgrades a payload to the next version, for each earlier version. `public_result` names the
    members of the result that `GET /v1/jobs/{id}` shows to the job's owner; without it all are shown.
    """

    kind: ClassVar[str]
    priority: ClassVar[int]
    retry: ClassVar[RetryPolicy]
    time_limit_seconds: ClassVar[int]
    unique: ClassVar[Unique]
    limit: ClassVar[Limit | None]
    breaker: ClassVar[Breaker | None]
    public_result: ClassVar[frozenset[str] | None]

    def __init_subclass__(cls, **_: Any) -> None:
        """Let pydantic pass the class's options to `__pydantic_init_subclass__`, where the fields are known."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(  # type: ignore[override] # each option has a name
        cls,
        *,
        kind: str,
        version: int = 1,
        priority: int = 5,
        retry: RetryPolicy = _DEFAULT_RETRY,
        time_limit_seconds: int = 300,
        unique: Unique = _DEFAULT_UNIQUE,
        limit: Limit | None = None,
        breaker: Breaker | None = _DEFAULT_BREAKER,
        upgrades: Mapping[int, Upgrade] | None = None,
        public_result: Collection[str] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(f"{cls.__name__}: unknown option {', '.join(unknown)}")
        _check_kind(cls, kind)
        if priority not in PRIORITIES or not isinstance(version, int) or version > _LAST_VERSION:
            raise TypeError(f"{cls.__name__}: priority is 0 to 10, and version at most {_LAST_VERSION}")
        if not (is_count(time_limit_seconds) and is_wait(time_limit_seconds)):
            raise TypeError(f"{cls.__name__}: time_limit_seconds is a whole number, 1 to {LONGEST_WAIT_SECONDS:.0f}")
        _check_limit(cls, limit)
        cls.declare_payload(kind, version=version, upgrades=upgrades)
        cls.kind, cls.priority = kind, priority
        cls.retry, cls.time_limit_seconds, cls.unique = retry, time_limit_seconds, unique
        cls.limit, cls.breaker = limit, breaker
        cls.public_result = None if public_result is None else frozenset(public_result)
        registry[kind] = cls

    def check_payload(self) -> None:
        """Refuse a payload that names what does not exist, such as a template: `enqueue` calls it first.

        Not for what a newer version may declare when the job runs: a stored payload is read without it.

        Raises:
            InvalidInputError: `errors` names the field; nothing is inserted.
        """

    def unique_key(self) -> str | None:
        """Return the unique key, by which a second enqueue returns the first job; None for no uniqueness."""
        return None

    def limit_key(self) -> str:
        """Return the key that the limit's `concurrency_per_key` counts by, such as a user's id."""
        return ""

    def message_priority(self) -> int:
        """Return the priority of this job: the kind's, unless a subclass decides by the payload."""
        return self.priority


def limits() -> dict[str, Limit]:
    """Return the limits of all declared contracts, by name."""
    return {job.limit.name: job.limit for job in registry.values() if job.limit is not None}


def _check_kind(contract: type[Job], kind: str) -> None:
    """Refuse a kind of another form, or that another contract has; the same module may be imported again."""
    if not _KIND.fullmatch(kind) or registry.get(kind, contract).__qualname__ != contract.__qualname__:
        raise TypeError(f"{contract.__name__}: kind {kind!r} is taken or not of the form send_email")


def _check_limit(contract: type[Job], limit: Limit | None) -> None:
    """Refuse two different limits of the same name."""
    if limit is not None and limits().get(limit.name, limit) != limit:
        raise TypeError(f"{contract.__name__}: there is another limit named {limit.name!r}; share it or rename one")
