"""How many jobs a second clients enqueue: one a transaction or publish, by one client and by eight; and many together.

No worker runs; Money Flow's relay does, and publishes meanwhile, as it would. A client is a process of its own. What
has returned is safe with Money Flow and Procrastinate (committed) and Dramatiq with confirms; plain Dramatiq and Celery
return when the bytes are on their way.
"""

from collections import defaultdict

from ops.dev.bench.jobs.contest import Contest, new_tags
from ops.dev.bench.jobs.contestants import CELERY, DRAMATIQ, DRAMATIQ_CONFIRMED, MONEY_FLOW, PROCRASTINATE
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome, Row, median, short

_CONTESTANTS = (MONEY_FLOW, DRAMATIQ, DRAMATIQ_CONFIRMED, CELERY, PROCRASTINATE)
_MANY_CLIENTS = 8
_TOGETHER = 100
_COLUMNS = ("one_client", "eight_clients", "hundred_together")


def run(plan: Plan) -> Outcome:
    """Measure everybody in turn."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for contest in plan.rounds_in_turn(*_CONTESTANTS):
        figures = _round(contest, plan)
        for name, value in figures.items():
            found[contest.contestant.name][name].append(value)
        plan.tell("  " + ", ".join(f"{name.replace('_', ' ')} {short(value)}" for name, value in figures.items()))
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


def _round(contest: Contest, plan: Plan) -> dict[str, float]:
    contest.enqueue("noop", new_tags(_MANY_CLIENTS), clients=_MANY_CLIENTS, together=1)  # So that all are connected.
    figures = {
        "one_client": contest.enqueue("noop", new_tags(plan.share(0.3)), together=1).per_second,
        "eight_clients": contest.enqueue(
            "noop", new_tags(plan.share(0.6)), clients=_MANY_CLIENTS, together=1
        ).per_second,
    }
    if contest.contestant.together > 1:
        figures["hundred_together"] = contest.enqueue("noop", new_tags(plan.jobs), together=_TOGETHER).per_second
    return figures
