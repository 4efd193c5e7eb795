"""`record_charge`: record what a webhook of the payment provider says about a payment."""

from moneyflow.jobs.record_charge import RecordCharge
from moneyflow.payments import reports
from workers.handlers import Context, Result, handles


@handles(RecordCharge)
def record_charge(context: Context, job: RecordCharge) -> Result:
    """Bring the payment to the reported state, unless it is there."""
    return reports.record(context.session, job)
