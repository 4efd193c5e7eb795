"""Descriptions of contracts as data, such as for the command line."""

from typing import Any

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.schedules import registry as schedules


def describe(contract: type[Job]) -> dict[str, Any]:
    """Describe a contract in JSON values."""
    return {
        "kind": contract.kind,
        "does": (contract.__doc__ or "").strip().partition("\n")[0],
        "version": contract.version,
        "reads_versions": [*sorted(contract.upgrades), contract.version],
        "priority": contract.priority,
        "time_limit_seconds": contract.time_limit_seconds,
        "retry": _retry(contract),
        "unique": _unique(contract),
        "limit": _limit(contract),
        "breaker": _breaker(contract),
        "schedules": [
            {"name": schedule.name, "cron": schedule.cron, "time_zone": schedule.time_zone}
            for schedule in schedules.values()
            if schedule.kind == contract.kind
        ],
        "fields": _fields(contract),
        "schema": contract.model_json_schema(),
    }


def _retry(contract: type[Job]) -> dict[str, Any]:
    policy = contract.retry
    return {
        "attempts": policy.attempts,
        "base_seconds": policy.base_seconds,
        "cap_seconds": policy.cap_seconds,
        "permanent": [error.__name__ for error in policy.permanent],
        "uncounted": [error.__name__ for error in policy.uncounted],
    }


def _unique(contract: type[Job]) -> dict[str, Any] | None:
    """Describe for how long a unique key is held; None when the kind has no keys."""
    if contract.unique_key is Job.unique_key:
        return None
    return {"for_seconds": contract.unique.for_seconds, "while_unfinished": contract.unique.while_unfinished}


def _limit(contract: type[Job]) -> dict[str, Any] | None:
    limit = contract.limit
    if limit is None:
        return None
    rate = {"limit": limit.rate.limit, "per_seconds": limit.rate.per_seconds} if limit.rate else None
    return {
        "name": limit.name,
        "concurrency": limit.concurrency,
        "concurrency_per_key": limit.concurrency_per_key,
        "rate": rate,
    }


def _breaker(contract: type[Job]) -> dict[str, Any] | None:
    breaker = contract.breaker
    if breaker is None:
        return None
    return {
        "errors": breaker.errors,
        "probe_seconds": breaker.probe_seconds,
        "longest_probe_seconds": breaker.longest_probe_seconds,
        "outages": ["UnavailableError", *(error.__name__ for error in breaker.outages)],
    }


def _fields(contract: type[Job]) -> list[dict[str, Any]]:
    return [
        {"name": name, "type": _type(field.annotation), "required": field.is_required()}
        for name, field in contract.model_fields.items()
    ]


def _type(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
