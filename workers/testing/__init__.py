"""Run jobs in a test, in its own process and transaction: `run_jobs(session)`."""

from workers.testing.runner import Mailbox, Ran, SentMail, fake_tools, run_jobs

__all__ = ["Mailbox", "Ran", "SentMail", "fake_tools", "run_jobs"]
