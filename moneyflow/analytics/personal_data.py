"""Personal data in analytics: sums of what the export has itself, erased with the account."""

from moneyflow.platform.personal_data import leave_out

_REASON = "the transactions, which the export has, add up to it; it is erased with the account"

leave_out("analytics.transactions", reason=_REASON)
leave_out("analytics.daily_sums", reason=_REASON)
leave_out("analytics.monthly_sums", reason=_REASON)
