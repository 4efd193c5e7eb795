"""`crm`: notes which people have changed; its companion sends their current rows to the CRM."""

from collections.abc import Sequence

import structlog

from consumers.companion import Companion
from consumers.sink import Record, sink
from moneyflow.crm.loop import SenderLoop
from moneyflow.crm.marks import Mark, mark
from moneyflow.crm.sender import Sender
from moneyflow.events import registry
from moneyflow.events.auth import SignedIn
from moneyflow.events.topics import AUTH_EVENTS, USER_EVENTS
from moneyflow.events.user import UserActivated, UserCreated, UserDeleted, UserUpdated
from moneyflow.gateways.crm.adapters import crm_of
from moneyflow.platform.database import Database, Session
from moneyflow.platform.events.reporter import ReportError
from moneyflow.platform.telemetry.origin import process_name
from moneyflow.settings import CrmConsumerSettings

log = structlog.get_logger(__name__)

#: What a CRM shows of a person may have changed; a new password is nothing of it.
_OF_USERS = (UserCreated, UserUpdated, UserActivated, UserDeleted)


@sink("crm")
class CrmSink:
    """Marks people; no request is made in its transaction."""

    name = "crm"
    role = "crm"
    schema = "crm"
    topics: Sequence[str] = (USER_EVENTS, AUTH_EVENTS)

    def write(self, session: Session, records: Sequence[Record]) -> int:
        """Mark the people whom the events are about; an event that is about nothing of them counts as new."""
        marks = [found for record in records if (found := _mark_of(record))]
        return mark(session, marks) + len(records) - len(marks)

    def companion(self, settings: CrmConsumerSettings, *, report_error: ReportError) -> Companion | None:
        """Return the sender; None without a CRM: the people who change wait until there is one."""
        crm = crm_of(settings)
        if crm is None:
            log.warning("no_crm", consequence="people who change are noted and sent nowhere", setting="CRM_URL")
            return None
        conninfo = settings.conninfo(self.role, application_name=f"consumer {self.name} sender {process_name()}")
        return SenderLoop(Sender(database=Database(conninfo, size=2), crm=crm), report_error=report_error)


def _mark_of(record: Record) -> Mark | None:
    """Return what an event says about a person; None when it is nothing that a CRM shows.

    Raises:
        PoisonError: it is no event of ours.
        UnreadableError: a newer version has written it.
    """
    envelope = record.envelope
    contract = registry.get(envelope.type)
    if contract is SignedIn:
        signed_in = SignedIn.from_envelope(envelope)
        return Mark(user_id=signed_in.user_id, auth_sequence=signed_in.sequence, signed_in_at=envelope.time)
    for kind in _OF_USERS:
        if contract is kind:
            event = kind.from_envelope(envelope)
            return Mark(user_id=event.user_id, user_sequence=event.sequence)
    return None
