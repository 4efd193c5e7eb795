"""Personal data in the audit log."""

from moneyflow.platform.personal_data import leave_out

leave_out(
    "audit.events",
    reason="the log has ids and no name, address or free text, and its own role alone reads it; ask an operator",
)
