"""Rounds of the part `api`: each scenario at 16 and at 64 connections, the two applications in turn, medians.

Both run all the time on the same machine as wrk and PostgreSQL; the one that is not measured is idle. The first answers
of each measurement, which open connections, are not counted.
"""

import os
from collections import defaultdict
from importlib.metadata import version

from rich.console import Console

from moneyflow.settings import ApiSettings
from ops.dev.bench.api import floor, load
from ops.dev.bench.api.sites import PEOPLE, TRANSACTIONS, FastApi, MoneyFlow, Site
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome, Row, Target, median, short
from ops.dev.stack import packages

SCENARIOS = ("sign_in", "get_me", "patch_me", "get_transaction", "list_transactions", "create_transaction")
CONNECTIONS = (16, 64)
#: Seconds of one measurement, for the usual number of jobs; a smaller number measures for less.
_SECONDS_PART = 0.001
_WARM_UP_SECONDS = 1
#: The promises: requests per second, as a multiple of the peer's.
_LEAST = {"get_me": 4.0, "patch_me": 3.0, "list_transactions": 3.0, "create_transaction": 4.0}
#: Those whose slowest answers are promised to be faster than the peer's.
_SLOWEST = ("get_me", "patch_me", "create_transaction")
_PACKAGES = ("falcon", "gunicorn", "fastapi", "sqlmodel", "uvicorn")

Found = dict[str, dict[str, list[float]]]


def run(plan: Plan) -> Outcome:
    """Measure both applications."""
    packages.ensure_more(Console(stderr=True), packages.LOAD_GENERATOR)
    load_before = short(os.getloadavg()[0])
    sites: list[Site] = [MoneyFlow(plan.testbed), FastApi(plan.testbed)]
    found: Found = defaultdict(lambda: defaultdict(list))
    try:
        for site in sites:
            site.start()
        for number in range(plan.rounds):
            _round(plan, sites, found, number)
        rows = [_row(site, found) for site in sites]
        floors = floor.measured(plan.testbed, connections=CONNECTIONS, seconds=_seconds(plan))
    finally:
        for site in sites:
            site.stop()
    add_ratios(rows)
    return Outcome(
        title="Accounts and transactions over HTTP: answers a second, milliseconds, memory",
        rows=rows,
        targets=targets_of(rows),
        conditions={
            "seconds_each": _seconds(plan),
            "people": PEOPLE,
            "transactions_of_each": TRANSACTIONS,
            **floors,
            "load_average_before": load_before,
            "threads_of_money_flow": ApiSettings.model_fields["api_threads"].default,
            "relay": "not running: events stay in the outbox",
            "argon2id": "19 MiB, 2 passes, 1 lane for both",
            "wrk": load.version(),
            **{name: version(name) for name in _PACKAGES},
        },
    )


def _seconds(plan: Plan) -> int:
    return max(1, round(plan.jobs * _SECONDS_PART))


def _round(plan: Plan, sites: list[Site], found: Found, number: int) -> None:
    for scenario in SCENARIOS:
        for connections in CONNECTIONS:
            # The other one first in every second round: what the one leaves behind burdens both.
            for site in sites if number % 2 == 0 else reversed(sites):
                figures = _measured(plan, site, scenario, connections)
                column = f"{scenario}_{connections}"
                of_site = found[site.name]
                of_site[f"{column}_per_second"].append(figures.per_second)
                of_site[f"{column}_p50_ms"].append(figures.p50_ms)
                of_site[f"{column}_p99_ms"].append(figures.p99_ms)
                if scenario == "sign_in":
                    of_site[f"{column}_refused_per_second"].append(figures.refused / figures.seconds)
                plan.log(
                    f"round {number + 1} of {plan.rounds}: {site.name}, {column}: "
                    f"{short(figures.per_second)}/s, p99 {short(figures.p99_ms)} ms"
                )


def _measured(plan: Plan, site: Site, scenario: str, connections: int) -> load.Figures:
    requests = site.requests(scenario)
    for seconds in (_WARM_UP_SECONDS, _seconds(plan)):
        figures = load.send(
            requests,
            port=site.port,
            connections=connections,
            seconds=seconds,
            folder=plan.testbed.folder,
            may_be_busy=scenario == "sign_in",
        )
    return figures


def _row(site: Site, found: Found) -> Row:
    columns = found[site.name]
    row: Row = {"system": site.name}
    row |= {name: median(values) for name, values in columns.items()}
    row |= {name: short(mib) for name, mib in site.memory().items()}
    return row | {f"{name}_rounds": [short(value) for value in values] for name, values in columns.items()}


def add_ratios(rows: list[Row]) -> None:
    """Add to our row the multiple of the peer's rates."""
    ours, theirs = rows
    for scenario in SCENARIOS:
        for connections in CONNECTIONS:
            column = f"{scenario}_{connections}"
            ratio = ours[f"{column}_per_second"] / theirs[f"{column}_per_second"]
            ours[f"{column}_ratio"] = short(ratio)


def targets_of(rows: list[Row]) -> list[Target]:
    """Return the promises, and what this run has found of them."""
    ours, theirs = rows
    rates = [
        Target(
            what=f"{scenario} at {connections} connections, multiple of the peer's rate",
            value=ours[f"{scenario}_{connections}_ratio"], bound=least, at="least",
        )
        for scenario, least in _LEAST.items() for connections in CONNECTIONS
    ]  # fmt: skip
    slowest = [
        Target(
            what=f"{scenario} at 64 connections, p99 against the peer's, ms",
            value=ours[f"{scenario}_64_p99_ms"], bound=theirs[f"{scenario}_64_p99_ms"], at="most",
        )
        for scenario in _SLOWEST
    ]  # fmt: skip
    return rates + slowest
