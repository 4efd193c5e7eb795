"""`python -m tests.support.sabotage NAME MODULE …`: run a process of the product with one thing broken in it.

Each function here is one sabotage: a crash at a named point, or a safeguard taken out. The product itself has no
switch for either.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable
from typing import Any

import tests.support.effects  # noqa: F401 - its jobs are known to every process that a test starts


def die() -> None:
    """Die as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def nothing() -> None:
    """Break nothing."""


def worker_dies_before_finish() -> None:
    """Die when the effects are written and nothing is committed."""
    from moneyflow.ledger import finish

    finish.succeed = lambda *_, **__: die()  # type: ignore[assignment]


def worker_dies_before_ack() -> None:
    """Die when all is committed and the message is not acked."""
    from workers.broker import FencedConsumer

    FencedConsumer.ack = lambda *_: die()  # type: ignore[assignment, method-assign]


def relay_dies_before_mark() -> None:
    """Die when RabbitMQ has confirmed and nothing is marked."""
    from workers.relay.jobs import JobRelay

    _die_after(JobRelay, "_confirmed")


def relay_dies_before_delete() -> None:
    """Die when Kafka has confirmed and the events are still in the outbox."""
    from workers.relay.events import EventRelay

    _die_after(EventRelay, "_send")


def without_fence() -> None:
    """Let whoever is last finish a job, even one that was taken over."""
    from moneyflow.ledger import finish

    # The history has one row for each fence, which is a second safeguard: it is taken out too.
    finish._QUERIES = {
        name: query.replace("and fence = %(fence)s and state = 'running'", "") + " on conflict do nothing"
        for name, query in finish._QUERIES.items()
    }
    finish._held = lambda *_: None


def without_claim() -> None:
    """Run whatever is delivered, in whatever state its job is."""
    from moneyflow.ledger import claim

    weakened = {
        name: query.replace("and state in ('scheduled', 'queued', 'retrying')", "")
        for name, query in claim._QUERIES.items()
    }
    assert weakened["claim_window"] != claim._QUERIES["claim_window"]
    claim._QUERIES = weakened


def _die_after(owner: type, name: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> None:
        await original(*args, **kwargs)
        die()

    setattr(owner, name, wrapped)


def main() -> None:
    """Sabotage, then become the process."""
    name, module, *arguments = sys.argv[1:]
    globals()[name]()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
