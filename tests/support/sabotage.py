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

import tests.support.effects  # its jobs are known to every process that a test starts
import tests.support.tally  # noqa: F401 - and so is its sink


def die() -> None:
    """Die as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def nothing() -> None:
    """Break nothing."""


def worker_dies_before_finish() -> None:
    """Die when the effects are written and nothing is committed."""
    from moneyflow.ledger import finish

    finish.succeed_many = lambda *_, **__: die()  # type: ignore[assignment]


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


def relay_dies_before_forgetting_a_dead_letter() -> None:
    """Die when RabbitMQ has confirmed a dead letter and its row is still there."""
    from workers.relay.jobs import JobRelay

    confirmed = JobRelay._confirmed

    async def wrapped(relay: JobRelay, rows: Any, messages: Any) -> Any:
        answer = await confirmed(relay, rows, messages)
        if "letter_id" in rows[0]:
            die()
        return answer

    JobRelay._confirmed = wrapped  # type: ignore[method-assign]


def looks_often() -> None:
    """Break nothing; let the relay look every half second for lost messages and frozen leaders."""
    from workers.relay import leader, reconcile

    reconcile._COUNT_EVERY_SECONDS = reconcile._QUEUED_GRACE_SECONDS = 0.5
    reconcile._PRESENCE_GRACE_SECONDS = 1.0
    leader._FROZEN_SECONDS = 3


def hangs_soon() -> None:
    """Break nothing; let a worker end soon after one of its jobs has overrun its time limit."""
    from workers import attempt

    attempt._HANGING_SECONDS = 1.0


def without_confirm() -> None:
    """Mark whatever was sent, confirmed or not; and let nobody look for what was lost by it."""
    from workers.relay.publisher import Publisher
    from workers.relay.reconcile import Reconciler

    publish = Publisher.publish

    async def hopeful(publisher: Publisher, messages: Any) -> list[bool]:
        return [True for _ in await publish(publisher, messages)]

    async def blind(_: Reconciler) -> None:
        """See nothing."""

    Publisher.publish = hopeful  # type: ignore[method-assign]
    Reconciler._find_lost_messages = blind  # type: ignore[method-assign]


def without_fenced_acks() -> None:
    """Settle whatever is done, by whatever tag it had, on the consumer that there is now."""
    from workers.broker import FencedConsumer

    ack = FencedConsumer.ack

    def anyhow(consumer: FencedConsumer, message: Any) -> None:
        message.consumer = consumer
        ack(consumer, message)

    FencedConsumer.ack = FencedConsumer.nack = anyhow  # type: ignore[assignment, method-assign]


def without_fence() -> None:
    """Let whoever is last finish a job, even one that was taken over."""
    from moneyflow.ledger import finish

    # The history has one row for each fence, which is a second safeguard: it is taken out too.
    fences = ("and fence = %(fence)s and state = 'running'", "and jobs.fence = mine.fence and jobs.state = 'running'")
    history = {"from done\n)\nselect": "from done on conflict do nothing\n)\nselect"}
    weakened = dict(finish._QUERIES)
    for name, query in finish._QUERIES.items():
        for fence in fences:
            weakened[name] = weakened[name].replace(fence, "")  # type: ignore[assignment]
        for before, after in history.items():
            weakened[name] = weakened[name].replace(before, after)  # type: ignore[assignment]
        assert weakened[name] != query
    finish._QUERIES = weakened
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


def consumer_dies_before_mirror() -> None:
    """Die when the sink and its position are committed and the group knows nothing of it."""
    from consumers.runtime import Consumer

    _die_after(Consumer, "_write")


def rebuilds_soon() -> None:
    """Break nothing; let a consumer throw its Kafka client away after a second of failures."""
    from consumers import runtime

    runtime._REBUILD_SECONDS = 1.0


def consumer_dies_before_skip() -> None:
    """Die when the bad record is on the dead letter topic and the sink's position still stands before it."""
    from consumers.dead_letter import DeadLetters

    _die_after(DeadLetters, "put")


def without_gate() -> None:
    """Let every record pass, and begin where the group's own offset says."""
    from consumers.gate import Gate
    from consumers.runtime import Consumer

    take = Consumer._take

    async def take_at_once(consumer: Any, partition: Any, records: Any) -> None:
        if consumer._gate.position(partition) is None:
            consumer._gate.open(partition, consumer._claim(partition))
        await take(consumer, partition, records)

    async def open_nothing(*_: Any) -> None:
        """Leave it to the first records that come."""

    Consumer._take, Consumer._open = take_at_once, open_nothing  # type: ignore[method-assign]
    Gate.admit = lambda _, __, records: list(records)  # type: ignore[method-assign, assignment]


def missed_soon() -> None:
    """Let the group miss a frozen consumer as soon as Kafka allows."""
    from consumers import runtime

    runtime._SESSION_SECONDS = 6


def without_epoch() -> None:
    """Let whoever is last move a position, even in a partition that was taken over."""
    from consumers import positions

    missed_soon()
    positions._QUERIES = {
        name: query.replace("and epoch = %(epoch)s", "") for name, query in positions._QUERIES.items()
    }


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
