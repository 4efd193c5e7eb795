"""Enqueue rate: jobs per second, one in a transaction or publish, by one client and by eight; and 100 together.

No worker runs. Money Flow's relay does, and publishes meanwhile, as in production. Each client is a process. An enqueue
that returned is durable with Money Flow and Procrastinate (committed) and with Dramatiq with confirms. Plain Dramatiq
and Celery return once the bytes are written to the socket.
"""

from collections import defaultdict

from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome, Row, median, short
from ops.dev.bench.jobs.systems import CELERY, DRAMATIQ, DRAMATIQ_CONFIRMED, MONEY_FLOW, PROCRASTINATE
from ops.dev.bench.jobs.trial import Trial, new_tags

_SYSTEMS = (MONEY_FLOW, DRAMATIQ, DRAMATIQ_CONFIRMED, CELERY, PROCRASTINATE)
_MANY_CLIENTS = 8
_TOGETHER = 100
_COLUMNS = ("one_client", "eight_clients", "hundred_together")


def run(plan: Plan) -> Outcome:
    """Measure all systems in turn."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial in plan.rounds_in_turn(*_SYSTEMS):
        figures = _round(trial, plan)
        for name, value in figures.items():
            found[trial.system.name][name].append(value)
        plan.log("  " + ", ".join(f"{name.replace('_', ' ')} {short(value)}" for name, value in figures.items()))
    base = found[DRAMATIQ.name]
    rows = []
    for name, figures_of in found.items():
        row: Row = {"system": name}
        for column in _COLUMNS:
            values = figures_of.get(column)
            row[column] = median(values) if values else None
            if column in base:
                row[f"{column}_ratio"] = short(median(figures_of[column]) / median(base[column]))
            row[f"{column}_rounds"] = [short(value) for value in values or []]
        rows.append(row)
    return Outcome(title=f"Jobs enqueued a second; ratios to {DRAMATIQ.name}", rows=rows)


def _round(trial: Trial, plan: Plan) -> dict[str, float]:
    trial.enqueue("noop", new_tags(_MANY_CLIENTS), clients=_MANY_CLIENTS, together=1)  # Connects all of them.
    figures = {
        "one_client": trial.enqueue("noop", new_tags(plan.share(0.3)), together=1).per_second,
        "eight_clients": trial.enqueue("noop", new_tags(plan.share(0.6)), clients=_MANY_CLIENTS, together=1).per_second,
    }
    if trial.system.together > 1:
        figures["hundred_together"] = trial.enqueue("noop", new_tags(plan.jobs), together=_TOGETHER).per_second
    return figures
