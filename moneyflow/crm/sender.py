"""Sender: takes people who are due, sends their current rows to the CRM, and notes what came of each.

No transaction is open while the CRM works. A crash after sending and before the note sends the same state again, by the
same id. A batch that the CRM refuses as a whole is halved until the person whom it refuses is alone.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import structlog

from moneyflow.crm import gate, leases, metrics
from moneyflow.crm.leases import Lease
from moneyflow.gateways.crm import Answer, BatchRefusedError, Contact, Crm, CrmDownError, Refusal, Removal
from moneyflow.gateways.crm.http import REQUEST_SECONDS
from moneyflow.platform.database import Database

log = structlog.get_logger(__name__)

#: Seconds for which a sender has people. What is not sent by then, less the time of a request, is given back.
LEASE_SECONDS = 90.0
#: Seconds after which a request without an answer has surely arrived, or never will.
SETTLE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Times of a sender, in seconds; tests shorten them."""

    lease: float = LEASE_SECONDS
    #: Of one request with its time-outs; removing takes two.
    request: float = 2 * REQUEST_SECONDS
    settle: float = SETTLE_SECONDS
    first_back_off: float = gate.FIRST_SECONDS
    longest_back_off: float = gate.LONGEST_SECONDS


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round has done: whether there may be more to send, and why the CRM is not asked."""

    has_more: bool = False
    complaint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Sends to one CRM; several senders, in any number of processes, share the people who are due."""

    database: Database
    crm: Crm
    terms: Terms = field(default_factory=Terms)
    pause: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run_once(self) -> Round:
        """Send one batch of people who are due."""
        give_back_at = self.clock() + self.terms.lease - self.terms.request
        with self.database.transaction() as session:
            seen = gate.look(session)
            if seen.seconds > 0:
                return Round(complaint=_complaint(seen))
            limit = 1 if seen.failures else self.crm.batch_limit
            taken = leases.claim(session, limit=limit, lease_seconds=self.terms.lease)
            known = [one for one in taken if one.is_known]
            to_send = [one for one in taken if not one.is_known]
            if to_send and seen.failures and not gate.probe(session, lease_seconds=self.terms.lease):
                session.release()  # Another sender probes.
                return Round(complaint=_complaint(seen))
            leases.unchanged(session, known)
        metrics.people.labels("unchanged").inc(len(known))
        try:
            self._send(to_send, give_back_at=give_back_at)
        except CrmDownError as error:
            return Round(complaint=error.detail)
        return Round(has_more=len(taken) == limit, complaint=None if to_send else _complaint(seen))

    def _send(self, taken: Sequence[Lease], *, give_back_at: float) -> None:
        """Send removals first: an address may move from a deleted person to another one."""
        waiting: list[Sequence[Lease]] = [part for part in (_removals(taken), _contacts(taken)) if part]
        while waiting:
            part = waiting.pop(0)
            if self.clock() > give_back_at:
                self._give_back([part, *waiting])
                return
            try:
                waiting = [*self._ask(part), *waiting]
            except CrmDownError as error:
                self._wait_out(part, error)
                self._give_back(waiting)
                raise
            except BaseException:  # A bug, or a shutdown.
                self._give_back(waiting)
                raise

    def _ask(self, part: Sequence[Lease]) -> Sequence[Sequence[Lease]]:
        """Send people in one request; return those about whom the CRM has said nothing, in halves."""
        with self.database.autocommit() as session:
            seconds = gate.reserve(session, requests_per_second=self.crm.requests_per_second)
        self.pause(seconds)
        try:
            answer = self._answer(part)
        except BatchRefusedError as error:
            answer = Answer(refused={part[0].user_id: error.refusal} if len(part) == 1 else {})
        unsaid = [one for one in part if one.user_id not in answer.accepted and one.user_id not in answer.refused]
        if len(unsaid) == len(part) == 1:
            answer, unsaid = Answer(refused={part[0].user_id: Refusal(code="refused")}), []
        self._note(part, answer)
        middle = (len(unsaid) + 1) // 2
        return [half for half in (unsaid[:middle], unsaid[middle:]) if half]

    def _answer(self, part: Sequence[Lease]) -> Answer:
        if part[0].is_removed:
            return self.crm.remove([cast("Removal", one.state) for one in part])
        return self.crm.upsert([cast("Contact", one.state) for one in part])

    def _note(self, part: Sequence[Lease], answer: Answer) -> None:
        taken = [one for one in part if one.user_id in answer.accepted]
        refused = [one for one in part if one.user_id in answer.refused]
        with self.database.transaction() as session:
            leases.accepted(session, taken, settle_seconds=self.terms.settle)
            leases.refused(session, refused, answer.refused, waits=self.crm.retry_seconds)
            gate.open_again(session)
        metrics.people.labels("removed").inc(sum(one.is_removed for one in taken))
        metrics.people.labels("synced").inc(sum(not one.is_removed for one in taken))
        metrics.people.labels("refused").inc(len(refused))
        for one in refused:
            log.warning("contact_refused", user_id=str(one.user_id), reason=str(answer.refused[one.user_id]))

    def _wait_out(self, part: Sequence[Lease], error: CrmDownError) -> None:
        with self.database.transaction() as session:
            leases.failed(session, part, error, waits=self.crm.retry_seconds)
            gate.fail(session, error, first_seconds=self.terms.first_back_off, longest=self.terms.longest_back_off)
        metrics.people.labels("waiting").inc(len(part))

    def _give_back(self, parts: Sequence[Sequence[Lease]]) -> None:
        with self.database.transaction() as session:
            leases.released(session, [one for part in parts for one in part])


def _removals(taken: Sequence[Lease]) -> list[Lease]:
    return [one for one in taken if one.is_removed]


def _contacts(taken: Sequence[Lease]) -> list[Lease]:
    return [one for one in taken if not one.is_removed]


def _complaint(seen: gate.Gate) -> str | None:
    if not seen.failures:
        return None
    return f"{seen.reason}; failing since {seen.failing_since:%Y-%m-%d %H:%M:%S} UTC"
