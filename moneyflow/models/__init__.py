"""The tables, one file a noun; `migrations/` makes them, and a test holds the two equal."""

from moneyflow.models.audit import AuditChain, AuditEvent, AuditPosition
from moneyflow.models.event import EventSequence, OutboxEvent
from moneyflow.models.idempotency import IdempotencyKey
from moneyflow.models.job import Batch, DeadLetter, JobAttempt, JobFile, JobKind, JobRow, JobStart, Worker
from moneyflow.models.operation import Operation, OperationItem
from moneyflow.models.schedule import ScheduleRow
from moneyflow.models.user import User, UserToken

__all__ = [
    "AuditChain",
    "AuditEvent",
    "AuditPosition",
    "Batch",
    "DeadLetter",
    "EventSequence",
    "IdempotencyKey",
    "JobAttempt",
    "JobFile",
    "JobKind",
    "JobRow",
    "JobStart",
    "Operation",
    "OperationItem",
    "OutboxEvent",
    "ScheduleRow",
    "User",
    "UserToken",
    "Worker",
]
