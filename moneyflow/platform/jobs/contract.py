"""Job contracts: a frozen payload with a kind, a version, a priority and the policies by which it runs."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from moneyflow.platform.bounds import LONGEST_WAIT_SECONDS, is_count, is_wait
from moneyflow.platform.errors import PermanentError, UnknownVersionError
from moneyflow.platform.jobs.limits import Limit
from moneyflow.platform.jobs.policy import Breaker, RetryPolicy, Unique
from moneyflow.platform.patterns import Pattern

PRIORITIES = range(11)
#: What Postgres's smallint holds.
_VERSIONS = range(1, 2**15)
_KIND = Pattern(r"[a-z][a-z0-9_]{1,62}", longest=63)
_DEFAULT_RETRY, _DEFAULT_UNIQUE, _DEFAULT_BREAKER = RetryPolicy(), Unique(), Breaker()

#: Upgrades a payload to the next version.
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]

#: Declared contracts by kind; filled when their modules are imported.
registry: dict[str, type["Job"]] = {}


class Job(BaseModel):
    """Base of all job contracts.

    A subclass names its `kind`, and its fields are the payload; all other options have defaults::

        class SendEmail(Job, kind="send_email", priority=5, limit=SMTP):
            template: str
            user_id: UUID

    `priority` is 0 to 10, and 10 runs first. `time_limit_seconds` is how long an attempt may take. `upgrades` holds
    the function that upgrades a payload to the next version, for each older version that may still be stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    version: ClassVar[int]
    priority: ClassVar[int]
    retry: ClassVar[RetryPolicy]
    time_limit_seconds: ClassVar[int]
    unique: ClassVar[Unique]
    limit: ClassVar[Limit | None]
    breaker: ClassVar[Breaker | None]
    upgrades: ClassVar[Mapping[int, Upgrade]]

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
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(f"{cls.__name__}: unknown option {', '.join(unknown)}")
        _check_kind(cls, kind)
        if priority not in PRIORITIES or version not in _VERSIONS:
            raise TypeError(f"{cls.__name__}: priority is 0 to 10, version {_VERSIONS[0]} to {_VERSIONS[-1]}")
        if not (is_count(time_limit_seconds) and is_wait(time_limit_seconds)):
            raise TypeError(f"{cls.__name__}: time_limit_seconds is a whole number, 1 to {LONGEST_WAIT_SECONDS:.0f}")
        upgrades = dict(upgrades or {})
        if upgrades and sorted(upgrades) != list(range(min(upgrades), version)):
            raise TypeError(f"{cls.__name__}: upgrades must lead step by step from an older version to {version}")
        _check_limit(cls, limit)
        cls.kind, cls.version, cls.priority = kind, version, priority
        cls.retry, cls.time_limit_seconds, cls.unique = retry, time_limit_seconds, unique
        cls.limit, cls.breaker, cls.upgrades = limit, breaker, upgrades
        registry[kind] = cls

    def unique_key(self) -> str | None:
        """Return the unique key, by which a second enqueue returns the first job; None for no uniqueness."""
        return None

    def limit_key(self) -> str:
        """Return the key that the limit's `concurrency_per_key` counts by, such as a user's id."""
        return ""

    def message_priority(self) -> int:
        """Return the priority of this job: the kind's, unless a subclass decides by the payload."""
        return self.priority

    @classmethod
    def reads(cls, version: int) -> bool:
        """Return whether this contract can read a payload that was stored under `version`."""
        return version == cls.version or version in cls.upgrades

    @classmethod
    def from_payload(cls, payload: dict[str, Any], version: int) -> Self:
        """Read a payload that was stored under `version`, and upgrade it step by step.

        Raises:
            UnknownVersionError: this process cannot read that version; a newer one may.
            PermanentError: the payload does not fit the contract.
        """
        if not cls.reads(version):
            raise UnknownVersionError(
                f"this worker knows version {cls.version} of {cls.kind}, the job has version {version}: "
                "deploy workers that know it, and the job runs"
            )
        try:
            for step in range(version, cls.version):
                payload = cls.upgrades[step](payload)
            return cls.model_validate(payload)
        except ValidationError as error:
            places = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise PermanentError(f"the payload of {cls.kind} does not fit its contract: {places}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PermanentError(
                f"the payload of {cls.kind}, version {version}, could not be upgraded to {cls.version}: {error!r}"
            ) from error


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
