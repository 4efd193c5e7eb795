"""`python -m tests.support.sabotage NAMES MODULE …`: run a process of the product with something broken in it.

Each function here is one sabotage: a safeguard taken out, or with `dies_at:POINT:COUNT` a crash when a failpoint is
reached for the COUNT-th time; `one+another` does both. The product itself has no switch for either.
"""

import dataclasses
import functools
import importlib
import os
import runpy
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from typing import Any

if "gunicorn" in sys.argv:  # It says where its processes keep their metrics, before anything imports the library.
    importlib.import_module("api.server")

import tests.support.deeds
import tests.support.effects  # their jobs are known to every process that a test starts
import tests.support.kinds
import tests.support.leave_file
import tests.support.members
import tests.support.neighbours
import tests.support.tally
from moneyflow.platform.jobs import schedules


def _by_default(kind: type, **values: Any) -> None:
    """Let every object of a class be made with these arguments, unless its maker gives others."""
    kind.__init__ = functools.partialmethod(kind.__init__, **values)  # type: ignore[misc]


def _replace(kind: type, **methods: Callable[..., Any]) -> None:
    """Put these in the place of a class's own methods."""
    for name, method in methods.items():
        assert hasattr(kind, name)
        setattr(kind, name, method)


def die() -> None:
    """Die as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def nothing() -> None:
    """Break nothing."""


#: The schedules that the process has declared by itself.
_own_schedules: dict[str, schedules.Schedule] = {}


def keeps_its_schedules() -> None:
    """Break nothing; tick as the product does."""
    schedules.registry.update(_own_schedules)


def ticks_each_second(point: str = "", count: str = "1") -> None:
    """Let a job come each second, and every one that was missed; die at a failpoint when one is named."""
    job = tests.support.effects.LeaveEffect()
    schedules.declare(
        schedules.Schedule(name="each_second", cron="* * * * * *", job=job, overlap="allow", catch_up="all")
    )
    if point:
        dies_at(point, count)


def dies_at(point: str, count: str) -> None:
    """Die when the failpoint is reached for the `count`-th time, and the process that this one was forked of too."""
    from moneyflow.platform import failpoints
    from tests.support.failpoints import named_in_source

    points = named_in_source()
    if point not in points:
        raise ValueError(f"{point} is no failpoint; there are {', '.join(sorted(points))}")
    first, left, counting = os.getpid(), int(count), threading.Lock()

    def count_down(reached: str) -> None:
        nonlocal left
        with counting:
            left -= reached == point
            if reached == point and left <= 0:
                os.write(sys.stderr.fileno(), f"dies at {point}\n".encode())
                if os.getpid() != first:  # A process of gunicorn: its master would start another.
                    os.kill(first, signal.SIGKILL)
                die()

    failpoints.set_hook(count_down)


def looks_often() -> None:
    """Break nothing; let the relay look every half second for lost messages and frozen leaders."""
    from workers.relay import leader, rescuer, statistics

    _by_default(rescuer.LostMessageCheck, poll_seconds=0.5, grace_seconds=0.5)
    _by_default(rescuer.Rescuer, lock_grace_seconds=1.0)
    _by_default(statistics.Statistics, poll_seconds=0.5)
    leader.leadership = functools.partial(leader.leadership, frozen_seconds=3)


def trusts_the_leader() -> None:
    """Break nothing; let a standby wait for the leader's lock and never take the leader for frozen."""
    from workers.relay import leader

    leader.leadership = functools.partial(leader.leadership, frozen_seconds=3600)


def starves_soon() -> None:
    """Break nothing; let the relay warn of jobs that have been due for a second."""
    from workers.relay.statistics import Statistics

    looks_often()
    _by_default(Statistics, starved_seconds=1.0)


def alarms_soon() -> None:
    """Break nothing; let the relay warn of two dead letters as of a thousand."""
    from workers.relay.statistics import Statistics

    looks_often()
    _by_default(Statistics, many_dead_letters=1)


def hangs_soon() -> None:
    """Break nothing; let a worker end soon after one of its jobs has overrun its time limit."""
    from workers.execution.executor import Executor

    _by_default(Executor, hanging_seconds=1.0)


def without_confirm() -> None:
    """Mark all that was sent, confirmed or not; and let no relay look for what was lost by it."""
    from workers.relay.publisher import Publisher

    publish = Publisher.publish

    async def hopeful(publisher: Publisher, messages: Any) -> list[bool]:
        return [True for _ in await publish(publisher, messages)]

    _replace(Publisher, publish=hopeful)
    without_look()


def without_look() -> None:
    """Let no relay look for messages that RabbitMQ should hold and does not."""
    from workers.relay.rescuer import LostMessageCheck

    async def blind(_: LostMessageCheck) -> float:
        """See nothing."""
        return 1.0

    _replace(LostMessageCheck, run_once=blind)


def without_rescue() -> None:
    """Let the relay rescue no job of a dead worker."""
    from workers.relay.rescuer import Rescuer

    async def indifferent(_: Rescuer) -> float:
        """Take nothing."""
        return 1.0

    _replace(Rescuer, run_once=indifferent)


def without_one_transaction() -> None:
    """Commit a job's effects first and its end a moment later, as a worker that acks after the work does."""
    import functools
    import time

    import workers.jobs  # noqa: F401 - the handlers of the product
    from workers import handlers

    def torn(handler: Any) -> Any:
        @functools.wraps(handler)
        def run(context: Any, job: Any, **gateways: Any) -> Any:
            result = handler(context, job, **gateways)
            context.session.commit()
            time.sleep(0.2)
            return result

        return run

    for kind, handler in handlers.registry.items():
        handlers.registry[kind] = torn(handler)


def reads_ahead() -> None:
    """Break nothing; let a worker always hold one message more than it has threads, however slow its jobs are."""
    from workers.intake.prefetch import PrefetchPolicy

    _replace(PrefetchPolicy, prefetch=lambda policy: policy._threads + 1)


def charges_under_new_keys() -> None:
    """Ask the payment provider under another key in each attempt, and not under the first job's id."""
    from moneyflow.gateways.payments import Charge, Charged, Declined
    from moneyflow.gateways.payments.sandbox import Sandbox

    charge = Sandbox.charge

    def forgetful(provider: Sandbox, order: Charge) -> Charged | Declined:
        return charge(provider, dataclasses.replace(order, key=uuid.uuid4()))

    _replace(Sandbox, charge=forgetful)


def without_fenced_acks() -> None:
    """Settle whatever is done, by whatever tag it had, on the consumer that there is now."""
    reads_ahead()
    from workers.intake.consumer import JobsConsumer

    settle, begin = JobsConsumer.settle, JobsConsumer.__init__
    newest: list[JobsConsumer] = []

    def begin_anyhow(consumer: JobsConsumer, *arguments: Any) -> None:
        begin(consumer, *arguments)
        newest.append(consumer)

    def settle_anyhow(_: JobsConsumer, tag: int, verdict: Any) -> None:
        settle(newest[-1], tag, verdict)

    _replace(JobsConsumer, __init__=begin_anyhow, settle=settle_anyhow)


def without_fence() -> None:
    """Let the last worker finish a job, even one that was taken over."""
    from moneyflow.platform.jobs.store import completion

    # The history has one row for each fence, which is a second safeguard: it is taken out too.
    fences = ("and fence = %(fence)s and state = 'running'", "and jobs.fence = mine.fence and jobs.state = 'running'")
    history = {"from done\n)\nselect": "from done on conflict do nothing\n)\nselect"}
    weakened = dict(completion.QUERIES)
    for name, query in completion.QUERIES.items():
        for fence in fences:
            weakened[name] = weakened[name].replace(fence, "")
        for before, after in history.items():
            weakened[name] = weakened[name].replace(before, after)
        if query.endswith("from done") and not query.endswith("select id from done"):
            weakened[name] += " on conflict do nothing"
        assert weakened[name] != query
    completion.QUERIES = weakened
    completion._held = lambda *_: None


def without_claim() -> None:
    """Run whatever is delivered, in whatever state its job is."""
    from moneyflow.platform.jobs.store import claims

    weakened = {
        name: query.replace("and state in ('scheduled', 'queued')", "") for name, query in claims.QUERIES.items()
    }
    assert weakened["claim"] != claims.QUERIES["claim"]
    claims.QUERIES = weakened


def rebuilds_soon() -> None:
    """Break nothing; let a consumer replace its Kafka client after a second of failures."""
    from consumers.runtime import Consumer

    _by_default(Consumer, rebuild_seconds=1.0)


def without_assignment_fence() -> None:
    """Let every record pass, and begin where the group's own offset says."""
    from consumers.assignment import AssignmentFence
    from consumers.runtime import Consumer

    take = Consumer._take

    async def take_at_once(consumer: Any, partition: Any, records: Any) -> None:
        if consumer._fence.position(partition) is None:
            consumer._fence.open(partition, consumer._opener._claim([partition])[partition])
        await take(consumer, partition, records)

    async def open_nothing(*_: Any) -> None:
        """Leave it to the first records that come."""

    _replace(Consumer, _take=take_at_once, _open=open_nothing)
    _replace(AssignmentFence, admit=lambda _, __, records: list(records))


def missed_soon() -> None:
    """Break nothing; let the group miss a consumer that is frozen or killed after a moment."""
    from consumers.runtime import Consumer

    _by_default(Consumer, session_seconds=3)


def sends_soon() -> None:
    """Break nothing; let the CRM's sender wait for tenths of seconds where it waits for a minute."""
    from moneyflow.crm.sender import Sender, Terms
    from moneyflow.gateways.crm import hubspot, hubspot_errors, webhook

    missed_soon()
    terms = Terms(lease=4, request=2, settle=2, first_back_off=0.05, longest_back_off=0.5)
    _by_default(Sender, terms=terms)
    hubspot_errors._LIMITS["DAILY"] = 0.5
    for adapter in (hubspot.HubSpot, webhook.WebhookCrm):
        _by_default(adapter, answer_seconds=0.5)
        adapter.retry_seconds = (0.1, 0.3)
        adapter.requests_per_second = 200.0


def without_epoch() -> None:
    """Let the last consumer move a position, even in a partition that was taken over."""
    from consumers import positions

    missed_soon()
    positions._QUERIES = {
        name: query.replace("and epoch = %(epoch)s", "") for name, query in positions._QUERIES.items()
    }


def without_rows_and_position_together() -> None:
    """Commit a sink's rows first and its position after them, as a consumer that commits offsets by itself does."""
    from consumers import positions

    advance = positions.advance

    def advance_later(session: Any, position: Any, **options: Any) -> None:
        session.commit()
        advance(session, position, **options)

    positions.advance = advance_later


def main() -> None:
    """Sabotage, then become the process."""
    names, module, *arguments = sys.argv[1:]
    _own_schedules.update(schedules.registry)
    schedules.registry.clear()  # A test has the jobs that it asks for, and no others at some minute.
    for name in names.split("+"):
        function, *parameters = name.split(":")
        globals()[function](*parameters)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
