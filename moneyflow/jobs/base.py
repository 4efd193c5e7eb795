"""What a job's contract is: a frozen payload with a kind, a version, a priority and a retry policy."""

import random
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from moneyflow.errors import PermanentError

PRIORITIES = range(11)
_KIND = re.compile(r"[a-z][a-z0-9_]{1,62}")


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often a job is tried, and how long it waits in between.

    The wait before try n + 1 is drawn evenly from 0 to min(cap, base * 2**(n - 1)): exponential back-off with
    full jitter (Brooker, *Exponential Backoff And Jitter*, 2015), so that what failed together returns one by one.
    """

    attempts: int = 10
    base_seconds: float = 2.0
    cap_seconds: float = 3600.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.base_seconds <= 0 or self.cap_seconds < self.base_seconds:
            raise ValueError(f"a retry policy needs attempts >= 1 and 0 < base_seconds <= cap_seconds, not {self}")

    def wait_seconds(self, attempt: int) -> float:
        """Return the seconds to wait after try number `attempt` (the first is 1) has failed."""
        ceiling = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt - 1, 60))
        return random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret


#: Every declared job by its kind; filled when the contracts are imported.
registry: dict[str, type["Job"]] = {}


class Job(BaseModel):
    """The base of every job's contract.

    A subclass names its `kind` and may set `version`, `priority` (0 to 10, 10 runs first), `retry` and
    `time_limit_seconds`; its fields are the payload::

        class SendEmail(Job, kind="send_email", priority=5):
            template: str
            user_id: UUID
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    version: ClassVar[int]
    priority: ClassVar[int]
    retry: ClassVar[RetryPolicy]
    time_limit_seconds: ClassVar[int]

    def __init_subclass__(cls, **_: Any) -> None:
        """Let pydantic hand the class's options on to `__pydantic_init_subclass__`, where the fields are known."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(  # type: ignore[override] # each option has a name
        cls,
        *,
        kind: str,
        version: int = 1,
        priority: int = 5,
        retry: RetryPolicy = RetryPolicy(),
        time_limit_seconds: int = 300,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(f"{cls.__name__}: unknown option {', '.join(unknown)}")
        if not _KIND.fullmatch(kind) or registry.get(kind, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.__name__}: kind {kind!r} is taken or not of the form send_email")
        if priority not in PRIORITIES or version < 1 or time_limit_seconds < 1:
            raise TypeError(f"{cls.__name__}: priority is 0 to 10, version and time_limit_seconds at least 1")
        cls.kind, cls.version, cls.priority = kind, version, priority
        cls.retry, cls.time_limit_seconds = retry, time_limit_seconds
        registry[kind] = cls

    def unique_key(self) -> str | None:
        """Return the key by which a second enqueue of the same work returns the first job, or None."""
        return None

    def message_priority(self) -> int:
        """Return the priority of this very job; the kind's own, unless the payload decides."""
        return self.priority

    @classmethod
    def from_payload(cls, payload: dict[str, Any], version: int) -> Self:
        """Read a payload that was stored under `version`.

        Raises:
            PermanentError: when the version or the payload is not one that this contract reads.
        """
        if version != cls.version:
            raise PermanentError(
                f"{cls.kind} is at version {cls.version} here, the job was written with {version}: "
                "deploy workers that know it, then replay the job"
            )
        try:
            return cls.model_validate(payload)
        except ValidationError as error:
            places = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise PermanentError(f"the payload of {cls.kind} does not fit its contract: {places}") from error
