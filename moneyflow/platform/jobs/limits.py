"""Limits: how many jobs run at once, in all and per key, and how many start in a window of time."""

from dataclasses import dataclass

from moneyflow.platform.bounds import is_count, is_wait
from moneyflow.platform.patterns import Pattern

_NAME = Pattern(r"[a-z][a-z0-9_]{0,62}", longest=63)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Rate limit: at most `limit` starts in any window of `per_seconds`, over all workers."""

    limit: int
    per_seconds: float

    def __post_init__(self) -> None:
        if not (is_count(self.limit) and is_wait(self.per_seconds)):
            raise ValueError(f"a rate needs limit >= 1 and per_seconds above 0 and at most 100 years, not {self}")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Limit that the jobs of one kind share, or of several kinds that declare the same limit.

    At most `concurrency` jobs run at once, at most `concurrency_per_key` with the same `limit_key()`, and no more start
    than `rate` allows; None means no limit. A job waits for its place in Postgres: it occupies neither RabbitMQ nor a
    worker, and no attempt of it counts::

        SMTP = Limit(name="smtp", concurrency=20, rate=Rate(limit=100, per_seconds=60))
    """

    name: str
    concurrency: int | None = None
    concurrency_per_key: int | None = None
    rate: Rate | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name of a limit is of the form smtp_provider, not {self.name!r}")
        sizes = (self.concurrency, self.concurrency_per_key)
        is_wrong = any(size is not None and not is_count(size) for size in sizes)
        if is_wrong or (sizes == (None, None) and self.rate is None):
            raise ValueError(f"limit {self.name}: give concurrency, concurrency_per_key (1 or more) or a rate")
