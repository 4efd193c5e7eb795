"""What came of a round's events: with Kafka, in the order of their keys, and once each in the audit log."""

from collections import defaultdict
from collections.abc import Sequence

import orjson

from moneyflow.audit.verify import verify
from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.chaos.requested import Answer, Request
from tests.chaos.verdict import Verdict
from tests.support.kafka_records import everything_in
from tests.support.waiting import eventually

#: Without the reports of processes about themselves, which come at any time.
_AUDITED = f"select id from audit.events where topic = '{USER_EVENTS}'"


def judge_events(verdict: Verdict, settings: AllSettings, requests: Sequence[Request], *, audit_seconds: float) -> None:
    """Add what is wrong with the events to a verdict."""
    found = _by_id(settings)
    accepted = {str(r.event_id) for r in requests if r.answer is Answer.ACCEPTED}
    refused = {str(r.event_id) for r in requests if r.answer is Answer.REFUSED and r.event_id}
    verdict.lost += [f"event {one} is not with Kafka" for one in accepted - found.keys()]
    verdict.invented += [f"event {one} was never committed" for one in refused & found.keys()]
    sequences = defaultdict(list)
    for event in found.values():
        sequences[event["subject"]].append(int(event["sequence"]))
    verdict.crooked += [f"events of {key}: {line}" for key, line in sequences.items() if line != sorted(line)]
    _judge_audit(verdict, settings, set(found), seconds=audit_seconds)


def _by_id(settings: AllSettings) -> dict[str, dict[str, str]]:
    """Return the events in the order in which they first came."""
    found: dict[str, dict[str, str]] = {}
    for record in everything_in(settings, USER_EVENTS):
        try:
            envelope = orjson.loads(record.value)
        except orjson.JSONDecodeError:
            continue  # Bad data of a test, which the audit log has put aside.
        found.setdefault(envelope["id"], envelope)
    return found


def _judge_audit(verdict: Verdict, settings: AllSettings, ids: set[str], *, seconds: float) -> None:
    log = Database(settings.conninfo("audit", application_name="test"), size=1)
    log.open()

    def audited() -> list[str]:
        with log.transaction() as session:
            return [row["id"] for row in session.fetch_all(_AUDITED)]

    try:
        eventually(lambda: len(audited()) >= len(ids), seconds=seconds, what="all events are in the audit log")
        rows = audited()
        with log.transaction() as session:
            faults = [chain.fault for chain in verify(session) if chain.fault]
    finally:
        log.close()
    verdict.lost += [f"event {one} is not in the audit log" for one in ids - set(rows)]
    verdict.invented += [f"event {one} is in the audit log and not with Kafka" for one in set(rows) - ids]
    verdict.doubled += ["an event is twice in the audit log"] if len(rows) > len(set(rows)) else []
    verdict.crooked += [f"the audit log's chain: {fault}" for fault in faults]
