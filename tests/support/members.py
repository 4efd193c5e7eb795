"""Jobs of the tests that leave more jobs: the next of a chain, more members of a batch, and the end of a batch."""

import random
import time
from uuid import UUID

from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support.effects import LeaveEffect, leave_effect
from workers.handlers import Context, Result, handles


class Link(Job, kind="link", priority=5, time_limit_seconds=60):
    """Leave an effect, and enqueue the next link in the same transaction until `more` is 0."""

    more: int = 0


class Spread(Job, kind="spread", priority=5, time_limit_seconds=60):
    """Add two members to the batch that this one belongs to, each of which does the same, until `depth` is 0."""

    depth: int = 0
    seconds: float = 0


class Gather(Job, kind="gather", priority=5, time_limit_seconds=60):
    """Leave an effect, and report how the members of the batch ended that this is the end of."""


@handles(Link)
def link(context: Context, job: Link) -> Result:
    leave_effect(context, LeaveEffect())
    if job.more:
        return {"next": str(enqueue(context.session, Link(more=job.more - 1)))}
    return None


@handles(Spread)
def spread(context: Context, job: Spread) -> Result:
    time.sleep(job.seconds * random.random())
    leave_effect(context, LeaveEffect())
    if job.depth:
        batch_id = batches.of(context.session, context.job_id)
        assert batch_id is not None
        batches.add(context.session, batch_id, [Spread(depth=job.depth - 1, seconds=job.seconds) for _ in range(2)])
    return None


@handles(Gather)
def gather(context: Context, _job: Gather) -> Result:
    leave_effect(context, LeaveEffect())
    batch_id = batches.of(context.session, context.job_id)
    assert isinstance(batch_id, UUID)
    return {"counts": dict(batches.status(context.session, batch_id).counts)}
