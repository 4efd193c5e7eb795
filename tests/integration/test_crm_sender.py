"""Sending to the CRM: the current row of each person, the newest state last, and no one lost in any outage."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from moneyflow.crm import leases, status
from moneyflow.crm.marks import Mark, mark
from moneyflow.crm.sender import Round, Sender, Terms
from moneyflow.gateways.crm import Answer, Contact, CrmDownError, Refusal
from moneyflow.gateways.crm.fake import FakeCrm
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings

#: No waiting: what is due again is so at once.
_TERMS = Terms(lease=60, request=1, settle=0, first_back_off=0, longest_back_off=0)


@dataclass
class Sync:
    """The sync of one test: people in the tables, and a sender with a CRM in memory."""

    people: Database
    database: Database
    crm: FakeCrm = field(default_factory=lambda: FakeCrm(retry_seconds=(0.0,)))
    terms: Terms = _TERMS
    sequence: int = 0

    def sender(self) -> Sender:
        return Sender(database=self.database, crm=self.crm, terms=self.terms, pause=lambda _: None)

    def add(self, *names: str) -> list[UUID]:
        """Make people, and mark them."""
        ids = [new_id() for _ in names]
        with self.people.transaction() as session:
            for id_, name in zip(ids, names, strict=True):
                values = {"id": id_, "name": name, "email": f"{id_}@mail.example"}
                session.execute("insert into users (id, email, name) values (%(id)s, %(email)s, %(name)s)", values)
        self.mark(ids)
        return ids

    def change(self, id_: UUID, name: str, *, is_marked: bool = True) -> None:
        with self.people.transaction() as session:
            session.execute("update users set name = %(name)s where id = %(id)s", {"id": id_, "name": name})
        if is_marked:
            self.mark([id_])

    def delete(self, id_: UUID) -> None:
        with self.people.transaction() as session:
            session.execute("delete from users where id = %(id)s", {"id": id_})
        self.mark([id_])

    def mark(self, ids: Sequence[UUID]) -> None:
        self.sequence += 1
        with self.database.transaction() as session:
            mark(session, [Mark(user_id=id_, user_sequence=self.sequence) for id_ in ids])

    def send(self) -> Round:
        """Run rounds until there is nothing to send."""
        done = Round(has_more=True)
        while done.has_more:
            done = self.sender().run_once()
        return done

    def names(self) -> dict[UUID, str]:
        return {id_: one.name for id_, one in self.crm.contacts.items()}

    def totals(self) -> status.Totals:
        with self.database.transaction() as session:
            return status.totals(session)

    def do(self, statement: LiteralString) -> None:
        with self.database.transaction() as session:
            session.execute(statement)


@pytest.fixture
def sync(settings: AllSettings, database: Database) -> Iterator[Sync]:
    ours = Database(settings.conninfo("crm", application_name="test"), size=4)
    ours.open()
    yield Sync(database, ours)
    ours.close()


def test_the_current_row_is_sent_and_a_burst_of_changes_is_one_request(sync: Sync) -> None:
    (ada,) = sync.add("Ada")
    for name in ("Ada L.", "A. Lovelace"):
        sync.change(ada, name)

    sync.send()

    assert sync.names() == {ada: "A. Lovelace"}
    assert sync.crm.requests == [("upsert", (ada,))]
    assert (sync.totals().synced, sync.totals().waiting) == (1, 0)


def test_a_mark_without_a_change_of_the_contact_is_no_request(sync: Sync) -> None:
    ids = sync.add("Ada")
    sync.send()

    sync.mark(ids)
    sync.send()

    assert len(sync.crm.requests) == 1
    assert sync.totals().waiting == 0


def test_people_are_sent_in_batches_of_the_crms_own_limit(sync: Sync) -> None:
    sync.crm.batch_limit = 2
    ids = sync.add(*"abcde")

    sync.send()

    assert sync.names().keys() == set(ids)
    assert [len(of) for _, of in sync.crm.requests] == [2, 2, 1]


def test_a_deleted_person_is_removed_by_the_id_before_anyone_is_upserted(sync: Sync) -> None:
    ada, _ = sync.add("Ada", "Eve")
    sync.send()
    sync.crm.requests.clear()

    sync.delete(ada)
    (new,) = sync.add("Ada")
    sync.send()

    assert sync.crm.requests == [("remove", (ada,)), ("upsert", (new,))]
    assert ada not in sync.names()
    assert sync.totals().removed == 1


def test_a_person_who_is_deleted_before_being_sent_is_no_request(sync: Sync) -> None:
    (ada,) = sync.add("Ada")
    sync.delete(ada)

    sync.send()

    assert sync.crm.requests == []
    assert sync.totals().removed == 1


def test_a_change_that_comes_while_the_person_is_sent_is_sent_after_it(sync: Sync) -> None:
    (ada,) = sync.add("Ada")

    @dataclass
    class Slow(FakeCrm):
        on_request: Callable[[], None] = lambda: None

        def upsert(self, contacts: Sequence[Contact]) -> Answer:
            self.on_request()
            self.on_request = lambda: None
            return super().upsert(contacts)

    sync.crm = Slow(on_request=lambda: sync.change(ada, "A. Lovelace"))

    sync.sender().run_once()
    assert (sync.names(), sync.totals().waiting) == ({ada: "Ada"}, 1)
    sync.send()

    assert sync.names() == {ada: "A. Lovelace"}


@pytest.mark.parametrize("names_refused", [True, False])
def test_a_person_whom_the_crm_refuses_is_set_aside_alone(names_refused: bool, sync: Sync) -> None:
    ids = sync.add(*map(str, range(16)))
    sync.crm.names_refused = names_refused
    sync.crm.refuses[ids[5]] = Refusal(code="INVALID_EMAIL", field="email")

    sync.send()

    assert sync.names().keys() == set(ids) - {ids[5]}
    assert sync.totals().set_aside == 1
    assert len(sync.crm.requests) <= 2 * 4 + 1, "at most 2·log₂ n + 1 requests for the one"
    with sync.database.transaction() as session:
        (found,) = status.contacts(session, state="set aside", limit=10)
    assert (found["user_id"], found["error"]) == (ids[5], "INVALID_EMAIL (email)")


def test_an_address_that_moves_to_another_person_is_taken_once_the_first_has_a_new_one(sync: Sync) -> None:
    ada, eve = sync.add("Ada", "Eve")
    sync.crm.refuses[ada] = Refusal(code="CONFLICT", may_pass=True)

    sync.sender().run_once()
    assert (set(sync.names()), sync.totals().set_aside) == ({eve}, 0)
    sync.crm.refuses.clear()
    sync.send()

    assert sync.names().keys() == {ada, eve}


def test_a_refusal_that_may_pass_and_does_not_is_set_aside_in_the_end(sync: Sync) -> None:
    (ada,) = sync.add("Ada")
    sync.crm.refuses[ada] = Refusal(code="CONFLICT", may_pass=True)

    for _ in range(leases.MOST_PASSING_REFUSALS + 1):
        sync.send()

    assert sync.totals().set_aside == 1


def test_an_outage_sets_no_one_aside_and_one_person_probes_for_all(sync: Sync) -> None:
    ids = sync.add(*"abcdef")
    sync.crm.error = CrmDownError("the CRM is down")

    rounds = [sync.sender().run_once() for _ in range(4)]

    assert [done.complaint for done in rounds] == ["the CRM is down"] * 4
    assert [len(of) for _, of in sync.crm.requests] == [6, 1, 1, 1]
    assert (sync.totals().set_aside, sync.totals().waiting) == (0, 6)
    sync.crm.error = None
    sync.send()
    sync.send()
    assert sync.names().keys() == set(ids)


def test_the_crm_is_not_asked_before_it_says_so_by_any_sender(sync: Sync) -> None:
    sync.add("Ada")
    sync.crm.error = CrmDownError("limited", retry_after_seconds=3600)
    sync.sender().run_once()
    sync.crm.error = None
    sync.add("Eve")

    assert [sync.sender().run_once().complaint is not None for _ in range(2)] == [True, True]
    assert len(sync.crm.requests) == 1


def test_operators_are_warned_of_an_outage_that_lasts_and_of_its_end(sync: Sync, settings: AllSettings) -> None:
    sync.add("Ada")
    sync.crm.error = CrmDownError("the CRM is down")
    for _ in range(6):
        sync.sender().run_once()
    sync.crm.error = None
    sync.send()

    query = "select convert_from(value, 'utf8')::jsonb->'data'->>'code' from outbox_events order by sequence"
    with psycopg.connect(settings.conninfo("relay", application_name="test")) as connection:
        codes = [code for (code,) in connection.execute(query)]
    assert codes == ["crm_down", "crm_up"]


class CrashError(BaseException):
    """The process ends."""


def test_a_crash_after_sending_sends_the_same_state_again_and_once_more_when_all_has_arrived(sync: Sync) -> None:
    (ada,) = sync.add("Ada")

    @dataclass
    class Crashing(FakeCrm):
        def upsert(self, contacts: Sequence[Contact]) -> Answer:
            super().upsert(contacts)
            raise CrashError

    survivor, sync.crm = sync.crm, Crashing()
    with pytest.raises(CrashError):
        sync.sender().run_once()
    first = sync.crm.contacts[ada]

    sync.crm = survivor
    assert sync.sender().run_once() == Round(), "the lease holds"
    sync.do("update crm.contacts set leased_until = clock_timestamp()")
    sync.send()
    sync.send()

    assert sync.crm.contacts == {ada: first}
    assert sync.crm.requests == [("upsert", (ada,))] * 2
    assert sync.totals().waiting == 0


def _sent_by_a_frozen_sender(sync: Sync) -> str:
    """Let a request leave after another sender has taken over and sent a newer state; return what the CRM ends with."""
    (ada,) = sync.add("Ada")

    @dataclass
    class Frozen(FakeCrm):
        def upsert(self, contacts: Sequence[Contact]) -> Answer:
            sync.do("update crm.contacts set leased_until = clock_timestamp()")
            sync.change(ada, "A. Lovelace", is_marked=False)
            Sender(database=sync.database, crm=current, terms=sync.terms, pause=lambda _: None).run_once()
            sync.do("update crm.contacts set due_at = null, must_send = false, is_unsure = false")  # A minute later.
            assert current.contacts[ada].name == "A. Lovelace"
            return current.upsert(contacts)

    current, sync.crm = sync.crm, Frozen()
    sync.sender().run_once()
    assert current.contacts[ada].name == "Ada", "the older state came last"

    sync.crm = current
    sync.send()
    sync.send()
    assert sync.totals().waiting == 0
    return sync.names()[ada]


def test_a_sender_that_was_frozen_overwrites_nothing_for_good(sync: Sync) -> None:
    assert _sent_by_a_frozen_sender(sync) == "A. Lovelace"


def test_without_the_fence_of_the_lease_the_older_state_stays(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = {name: query.replace("and contact.fence = given.fence", "") for name, query in leases._QUERIES.items()}
    monkeypatch.setattr(leases, "_QUERIES", queries)

    assert _sent_by_a_frozen_sender(sync) == "Ada"


def test_after_a_lost_answer_the_state_is_sent_once_more_when_the_lost_request_has_surely_arrived(sync: Sync) -> None:
    (ada,) = sync.add("Ada")
    sync.crm.error = CrmDownError("no answer", may_have_acted=True)
    sync.sender().run_once()
    sync.crm.error = None
    sync.sender().run_once()

    assert sync.totals().waiting == 1
    sync.crm.contacts[ada] = replace(sync.crm.contacts[ada], name="what the lost request has written")
    sync.send()

    assert sync.names() == {ada: "Ada"}
    assert sync.totals().waiting == 0


def test_what_a_sender_cannot_send_within_its_lease_is_given_back(sync: Sync) -> None:
    sync.add("Ada")
    sync.terms = replace(_TERMS, lease=60, request=61)

    sync.sender().run_once()

    assert sync.crm.requests == []
    sync.terms = _TERMS
    sync.send()
    assert len(sync.names()) == 1


def test_senders_share_the_people_who_are_due(sync: Sync) -> None:
    sync.crm.batch_limit = 1
    ids = sync.add("Ada", "Eve")
    other = FakeCrm(batch_limit=1)

    @dataclass
    class First(FakeCrm):
        def upsert(self, contacts: Sequence[Contact]) -> Answer:
            Sender(database=sync.database, crm=other, terms=_TERMS, pause=lambda _: None).run_once()
            return super().upsert(contacts)

    sync.crm = First(batch_limit=1)
    sync.sender().run_once()

    assert {*sync.crm.contacts, *other.contacts} == set(ids)
    assert not sync.crm.contacts.keys() & other.contacts.keys()


def test_no_table_of_the_sync_holds_a_name_or_an_address(sync: Sync) -> None:
    sync.add("Lovelace")
    sync.send()

    with sync.database.transaction() as session:
        rows = session.fetch_all(
            "select contacts::text as text from crm.contacts union all select gate::text from gate"
        )
    assert not any("Lovelace" in row["text"] or "@" in row["text"] for row in rows)


def test_senders_pace_their_requests_together(sync: Sync) -> None:
    sync.crm.batch_limit, sync.crm.requests_per_second = 1, 0.01
    sync.add("Ada", "Eve", "Bob")
    pauses: list[float] = []

    for _ in range(3):  # Each of them could be in a process of its own: the row is shared.
        Sender(database=sync.database, crm=sync.crm, terms=_TERMS, pause=pauses.append).run_once()

    assert [round(seconds / 100) for seconds in pauses] == [0, 1, 2]
