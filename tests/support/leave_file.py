"""A job of the tests that returns a file; each attempt writes one, and only that of the last may stay."""

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy
from workers.handlers import Context, File, Result, handles


class LeaveFile(
    Job,
    kind="leave_file",
    retry=RetryPolicy(attempts=20, base_seconds=0.05, cap_seconds=0.2),
    time_limit_seconds=60,
    breaker=None,
):
    """Return a file."""


@handles(LeaveFile)
def leave_file(context: Context, _job: LeaveFile) -> Result:
    return File(name="report.txt", content=str(context.job_id).encode() * 1000, content_type="text/plain")
