"""The conformance suite of CRM adapters: HubSpot and webhooks on the double, and the CRM of unit tests."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from moneyflow.gateways.crm import BatchRefusedError, Contact, Crm, CrmDownError, Refusal, Removal
from moneyflow.gateways.crm.fake import FakeCrm
from tests.support.crm import running_crm


@dataclass(frozen=True)
class Side:
    """A CRM as its client has it, and as it is."""

    crm: Crm
    emails: Callable[[], Mapping[UUID, str]]
    goes_down: Callable[[], None]
    refuses: Callable[[UUID], None]


@pytest.fixture(params=["hubspot", "webhook", "fake"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    if request.param == "fake":
        fake = FakeCrm()
        yield Side(
            fake,
            emails=lambda: {id_: one.email for id_, one in fake.contacts.items()},
            goes_down=lambda: setattr(fake, "error", CrmDownError("down")),
            refuses=lambda id_: fake.refuses.update({id_: Refusal(code="no")}),
        )
        return
    with running_crm(tmp_path / "crm.sqlite") as running:
        crm: Crm = running.hubspot() if request.param == "hubspot" else running.webhook()
        yield Side(
            crm,
            emails=lambda: {id_: values["email"] for id_, values in running.contacts().items()},
            goes_down=lambda: running.set_faults({"kind": "error", "times": None}),
            refuses=lambda id_: running.set_faults({"kind": "refuse", "about": str(id_), "times": None}),
        )
        crm.close()


def _contact(**values: Any) -> Contact:
    id_ = uuid4()
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)
    return replace(Contact(id=id_, version=1, email=f"{id_}@mail.example", name="Ada", created_at=moment), **values)


def test_a_contact_is_there_once_with_its_last_state_however_often_it_is_sent(side: Side) -> None:
    one = _contact()
    changed = replace(one, version=2, email="new@mail.example")

    for state in (one, one, changed, changed):
        assert side.crm.upsert([state]).accepted == {one.id}

    assert side.emails() == {one.id: "new@mail.example"}


def test_a_batch_as_large_as_it_may_be_is_taken(side: Side) -> None:
    people = [_contact() for _ in range(side.crm.batch_limit)]

    answer = side.crm.upsert(people)

    assert answer.accepted == {one.id for one in people} == side.emails().keys()


def test_a_removed_contact_is_not_there_and_one_that_never_was_counts_as_removed(side: Side) -> None:
    one, stays = _contact(), _contact()
    side.crm.upsert([one, stays])

    for _ in range(2):
        removals = [Removal(id=one.id, version=2), Removal(id=uuid4(), version=1)]
        assert side.crm.remove(removals).accepted == {removal.id for removal in removals}

    assert side.emails().keys() == {stays.id}


def test_a_person_whom_it_refuses_is_named_or_the_batch_is_refused_and_nothing_of_it_taken(side: Side) -> None:
    bad, good = _contact(), _contact()
    side.refuses(bad.id)

    try:
        answer = side.crm.upsert([bad, good])
    except BatchRefusedError:
        assert side.emails() == {}
        with pytest.raises(BatchRefusedError):
            side.crm.upsert([bad])
        side.crm.upsert([good])
    else:
        assert (set(answer.accepted), set(answer.refused)) == ({good.id}, {bad.id})

    assert side.emails().keys() == {good.id}


def test_no_error_and_no_representation_holds_a_value_of_a_person(side: Side) -> None:
    bad = _contact(email="ada@secret.example", name="Lovelace")
    side.refuses(bad.id)

    try:
        shown = str(side.crm.upsert([bad]).refused)
    except BatchRefusedError as error:
        shown = f"{error} {error.refusal}"

    assert "secret" not in shown + repr(bad)
    assert "Lovelace" not in shown + repr(bad)


def test_an_outage_is_no_ones_fault(side: Side) -> None:
    side.goes_down()

    with pytest.raises(CrmDownError):
        side.crm.upsert([_contact()])
    with pytest.raises(CrmDownError):
        side.crm.remove([Removal(id=uuid4(), version=1)])


def test_what_is_there_can_be_read_again_where_the_crm_can_be_read(side: Side) -> None:
    if not side.crm.is_readable:
        pytest.skip("webhooks go one way")
    people = [_contact(activated_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) for _ in range(3)]
    side.crm.upsert(people)

    assert side.crm.find([one.id for one in people] + [uuid4()]) == {one.id: one.fields() for one in people}
    assert {id_ for page in side.crm.ids() for id_ in page} == {one.id for one in people}
