"""`moneyflow crm status|diff|resync`: what was synced when, how the CRM differs, and how that is mended."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from moneyflow.crm.marks import Mark, mark
from moneyflow.crm.resync import CONTACTS, RESYNC, CrmContacts
from moneyflow.crm.sender import Sender, Terms
from moneyflow.gateways.crm import Crm
from moneyflow.gateways.crm.hubspot import ID_PROPERTY
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.operations.engine import Operations
from moneyflow.platform.operations.sources import Order, Selection
from moneyflow.settings import AllSettings
from tests.support.command_line import moneyflow
from tests.support.crm import SECRET, TOKEN, RunningCrm, running_crm

_WHY = ("--reason", "the CRM was restored from a backup", "--by", "ada")


@dataclass
class Office:
    """People here, a CRM there, a sender in between, and the command line."""

    environment: dict[str, str]
    people: Database
    database: Database
    running: RunningCrm
    crm: Crm

    def add(self, *names: str) -> list[UUID]:
        ids = [new_id() for _ in names]
        with self.people.transaction() as session:
            for id_, name in zip(ids, names, strict=True):
                values = {"id": id_, "name": name, "email": f"{id_}@mail.example"}
                session.execute("insert into users (id, email, name) values (%(id)s, %(email)s, %(name)s)", values)
        with self.database.transaction() as session:
            mark(session, [Mark(user_id=id_, user_sequence=1) for id_ in ids])
        return ids

    def send(self) -> None:
        terms = Terms(settle=0, first_back_off=0, longest_back_off=0)
        sender = Sender(database=self.database, crm=self.crm, terms=terms, pause=lambda _: None)
        while sender.run_once().has_more:
            pass

    def spoil(self, id_: UUID, **properties: str) -> None:
        """Change a contact at the CRM, as its users do."""
        row = self.running.double.store.find(str(id_))
        assert row is not None
        self.running.double.store.put(str(id_), properties, version=row.version)

    def lose(self, id_: UUID) -> None:
        row = self.running.double.store.find(str(id_))
        assert row is not None
        self.running.double.store.archive(row.id)

    def run(self, *arguments: str, code: int = 0) -> str:
        done = moneyflow(self.environment, "crm", *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, *arguments: str, code: int = 0) -> Any:
        done = moneyflow(self.environment, "crm", *arguments, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return orjson.loads(done.stdout)


@pytest.fixture(params=["hubspot"])
def office(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    settings: AllSettings,
    database: Database,
    tmp_path: Path,
) -> Iterator[Office]:
    ours = Database(settings.conninfo("crm", application_name="test"), size=2)
    ours.open()
    with running_crm(tmp_path / "crm.sqlite") as running:
        crm: Crm = running.hubspot() if request.param == "hubspot" else running.webhook()
        named = {"CRM_ADAPTER": request.param, "CRM_URL": running.url}
        secrets = {"CRM_TOKEN": TOKEN, "CRM_WEBHOOK_SECRET": SECRET}
        yield Office(environment | named | secrets, database, ours, running, crm)
    ours.close()


def test_the_status_says_how_many_are_in_step_who_waits_and_who_is_set_aside_and_why(office: Office) -> None:
    synced, refused = office.add("Ada", "Eve")
    office.running.set_faults({"kind": "refuse", "about": str(refused)})
    office.send()
    (waiting,) = office.add("Mallory")

    found = office.json("status")
    text = office.run("status")
    one = office.json("status", str(synced))["contacts"][0]

    totals = {name: found["totals"][name] for name in ("synced", "waiting", "set_aside", "removed")}
    assert totals == {"synced": 1, "waiting": 1, "set_aside": 1, "removed": 0}
    assert {UUID(row["user_id"]): row["state"] for row in found["contacts"]} == {
        refused: "set aside", waiting: "waiting",
    }  # fmt: skip
    assert (one["state"], one["synced_version"], one["synced_at"] is not None) == ("synced", 1, True)
    assert "INVALID_EMAIL (email)" in text
    assert "the CRM takes requests" in text
    assert not re.search(r"Ada|Eve|Mallory|@", text + str(found))
    assert "none of these people" in office.run("status", str(uuid4()), code=2)


def test_an_outage_is_named_with_its_cause(office: Office) -> None:
    office.add("Ada")
    office.running.set_faults({"kind": "error", "times": None})
    office.send()

    assert re.search(r"answers 500: .*; 1 failures since", office.run("status"))


def test_the_comparison_names_who_is_missing_changed_or_too_many_and_a_resync_mends_it(office: Office) -> None:
    equal, missing, changed, refused = office.add("Ada", "Eve", "Bob", "Zoe")
    office.running.set_faults({"kind": "refuse", "about": str(refused)})
    office.send()
    assert [one["kind"] for one in office.json("diff", code=1)["differences"]] == ["refused"]
    office.lose(missing)
    office.spoil(changed, firstname="Robert", email="other@mail.example")
    extra = uuid4()
    office.running.double.store.put(str(extra), {ID_PROPERTY: str(extra), "email": "x@mail.example"})
    office.add("waits to be sent, and differs in nothing yet")

    found = office.json("diff", code=1)
    text = office.run("diff", code=1)

    assert {UUID(one["user_id"]): (one["kind"], one["fields"]) for one in found["differences"]} == {
        missing: ("missing", []), changed: ("changed", ["email", "name"]), extra: ("extra", []),
        refused: ("refused", []),
    }  # fmt: skip
    assert str(equal) not in text
    assert not re.search(r"Robert|@", text + str(found))
    report = office.json("resync", "--differing", "--wait", "0", *_WHY, code=1)
    assert report["results"] == {"due": 4}
    office.send()
    assert office.json("diff") == {"equal": True, "kinds": {}, "differences": []}
    assert extra not in office.running.contacts()
    assert office.run("resync", "--differing", *_WHY).endswith("no one differs; nothing was done\n")


def test_a_resync_previews_asks_for_a_reason_and_is_kept_with_who_and_why(office: Office) -> None:
    ids = office.add("Ada", "Eve")
    office.send()
    requests = office.running.double.answers["200"]

    preview = office.json("resync", "--all", "--dry-run")
    without = office.run("resync", "--all", code=2)
    nothing = office.run("resync", code=2)
    report = office.json("resync", str(ids[0]), "--wait", "0", *_WHY, code=1)
    office.send()
    shown = office.json("operations", report["operation"]["id"])

    assert (preview["results"], len(preview["items"])) == ({"due": 2}, 2)
    assert "asks for a reason" in without
    assert "which ones? Give ids, --state, --error, --differing, or --all" in nothing
    assert office.running.double.answers["200"] == requests + 1, "it is sent, though nothing has changed"
    assert (shown["operation"]["asked_by"], shown["operation"]["reason"]) == ("ada", _WHY[1])
    assert shown["items"][0]["person"] == str(ids[0])


def test_those_who_were_set_aside_for_one_error_are_sent_again(office: Office) -> None:
    first, second = office.add("Ada", "Eve")
    office.running.set_faults({"kind": "refuse", "about": str(first)})
    office.send()

    assert office.json("resync", "--error", "OTHER", "--dry-run")["items"] == []
    found = office.json("resync", "--error", "INVALID_EMAIL", "--dry-run")["items"]
    office.json("resync", "--state", "set aside", "--wait", "0", *_WHY, code=1)
    office.send()

    assert [one["person"] for one in found] == [str(first)]
    assert office.running.contacts().keys() == {first, second}


def test_two_operators_who_resync_the_same_person_have_them_sent_once(office: Office, settings: AllSettings) -> None:
    (ada,) = office.add("Ada")
    office.send()
    requests = office.running.double.answers["200"]
    order = Order(verb=RESYNC, sources=(CONTACTS,), selection=Selection(ids=(str(ada),)), asked_by="ada", reason="x")

    operator = Database(settings.conninfo("operator", application_name="test"), size=1)
    operator.open()
    operations = Operations(operator, [CrmContacts()])
    both = [operations.freeze(order), operations.freeze(order)]
    for one in both:
        list(operations.run(one, end_seconds=0))
    office.send()
    results = [operations.report(one).results for one in both]
    operator.close()

    assert results == [{"synced": 1}, {"already done": 1}]
    assert office.running.double.answers["200"] == requests + 1


@pytest.mark.parametrize("office", ["webhook"], indirect=True)
def test_of_webhooks_what_their_receiver_has_acknowledged_is_compared(office: Office) -> None:
    same, stale = office.add("Ada", "Eve")
    office.send()
    with office.people.transaction() as session:  # A change whose event was lost.
        session.execute("update users set name = 'Eva' where id = %(id)s", {"id": stale})

    found = office.json("diff", code=1)

    assert found["differences"] == [{"user_id": str(stale), "kind": "changed", "fields": []}]
    assert str(same) not in str(found)
    assert "cannot be read" in office.run("diff", code=1)


def test_without_a_crm_the_comparison_says_what_to_set(environment: dict[str, str]) -> None:
    done = moneyflow(environment, "crm", "diff")

    assert done.returncode == 2
    assert "no CRM is set; set CRM_URL" in done.stderr
