"""Rounds of the part `events`: the relay and each registered sink, with their peers and floors in turn, medians."""

import os
from collections import defaultdict
from importlib.metadata import version

from ops.dev.bench.events.registered import Sink, sinks
from ops.dev.bench.events.relay import RelayTrials
from ops.dev.bench.events.sinks import SinkTrials
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.report import Outcome, Row, Target, median, short
from ops.dev.bench.jobs.testbed import Testbed
from ops.dev.bench.peers import bare_copy
from ops.dev.stack.servers import Kafka

#: The promises, as parts of the floor's rate, and what we hope for.
_LEAST, _MOONSHOT = 0.5, 0.8
#: MiB of a consumer's process, whatever the backlog.
_MOST_MIB = 200.0
#: The peers that take one record at a time get a part of the backlog, so that each measurement takes seconds.
_SLOW_PART = 0.05
_PEERS = "ops.dev.bench.peers."
_PACKAGES = ("aiokafka", "faststream", "psycopg")

Found = dict[str, list[float]]


def run(plan: Plan) -> Outcome:
    """Measure the relay, then sink after sink."""
    load_before = short(os.getloadavg()[0])
    _start_kafka(plan.testbed)
    relay, relay_found = RelayTrials(plan), defaultdict[str, list[float]](list)
    for number in range(plan.rounds):
        plan.log(f"round {number + 1} of {plan.rounds}: relay")
        relay_found["bare_aiokafka"].append(relay.bare_producer().per_second)
        relay_found["money_flow"].append(relay.relay().per_second)
        _log_last(plan, relay_found)
    rows = [row_of("relay", relay_found, floor="bare_aiokafka")]
    for name, sink in sinks().items():
        rows.append(row_of(name, _of_sink(plan, sink), floor="bare_copy"))
        if plan.backlog:
            rows[-1]["mib_with_backlog"] = short(SinkTrials(plan, sink, plan.backlog).consumer().peak_mib)
    return Outcome(
        title="Events a second: the relay from the outbox, each sink from a backlog",
        rows=rows,
        targets=targets_of(rows),
        conditions={
            "events": plan.events,
            "backlog": plan.backlog,
            "load_average_before": load_before,
            "records_of_a_bare_copy": bare_copy.BATCH,
            **{name: version(name) for name in _PACKAGES},
        },
    )


def _start_kafka(testbed: Testbed) -> None:
    kafka = Kafka(testbed.state)
    testbed.servers.append(kafka)
    testbed.start(kafka)


def _of_sink(plan: Plan, sink: Sink) -> Found:
    found: Found = defaultdict(list)
    trials = SinkTrials(plan, sink, plan.events)
    for number in range(plan.rounds):
        plan.log(f"round {number + 1} of {plan.rounds}: {sink.name}")
        found["bare_copy"].append(trials.peer(f"{_PEERS}bare_copy").per_second)
        consumed = trials.consumer()
        found["money_flow"].append(consumed.rate.per_second)
        found["peak_mib"].append(consumed.peak_mib)
        found["record_by_record"].append(trials.peer(f"{_PEERS}record_by_record", _SLOW_PART).per_second)
        found["faststream"].append(trials.peer(f"{_PEERS}faststream_app", _SLOW_PART).per_second)
        _log_last(plan, found)
    return found


def _log_last(plan: Plan, found: Found) -> None:
    plan.log("  " + ", ".join(f"{name.replace('_', ' ')} {short(values[-1])}" for name, values in found.items()))


def row_of(name: str, found: Found, *, floor: str) -> Row:
    """Return the medians of what was found, with ratios to the floor and to the peers."""
    row: Row = {"system": name, "floor": floor.replace("_", " ")}
    row |= {column: median(values) for column, values in found.items()}
    ours = row["money_flow"]
    row["of_the_floor"] = short(ours / row[floor])
    row |= {f"times_{peer}": short(ours / row[peer]) for peer in ("record_by_record", "faststream") if peer in row}
    return row | {f"{column}_rounds": [short(value) for value in values] for column, values in found.items()}


def targets_of(rows: list[Row]) -> list[Target]:
    """Return the promises, what we hope for, and what this run has found of both."""
    found = [
        Target(what=f"{row['system']}, of {row['floor']}", value=row["of_the_floor"], bound=_LEAST, at="least")
        for row in rows
    ]
    found += [
        Target(what=f"{row['system']}, of {row['floor']}, moonshot", value=row["of_the_floor"], bound=_MOONSHOT,
               at="least")
        for row in rows
    ]  # fmt: skip
    return found + [
        Target(what=f"{row['system']}, MiB", value=row.get("mib_with_backlog") or row["peak_mib"], bound=_MOST_MIB,
               at="most")
        for row in rows if "peak_mib" in row
    ]  # fmt: skip
