"""The tables, one file a noun; `migrations/` makes them, and a test holds the two equal."""

from moneyflow.models.audit import AuditChain, AuditEvent, AuditPosition
from moneyflow.models.event import OutboxEvent
from moneyflow.models.idempotency import IdempotencyKey
from moneyflow.models.job import DeadLetter, JobAttempt, JobRow, Worker
from moneyflow.models.user import User, UserToken

__all__ = [
    "AuditChain",
    "AuditEvent",
    "AuditPosition",
    "DeadLetter",
    "IdempotencyKey",
    "JobAttempt",
    "JobRow",
    "OutboxEvent",
    "User",
    "UserToken",
    "Worker",
]
