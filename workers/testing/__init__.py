"""Test support for handlers: run jobs in the test's own process and transaction, `run_jobs(session)`."""

from moneyflow.gateways.mail.mailbox import Mailbox, SentMail
from workers.testing.gateways import fake_gateways, new_mailbox, temporary_storage
from workers.testing.runner import Ran, run_jobs

__all__ = ["Mailbox", "Ran", "SentMail", "fake_gateways", "new_mailbox", "run_jobs", "temporary_storage"]
