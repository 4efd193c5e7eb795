"""The CRM sync as real processes: whatever fails, in the end the CRM has the people as they are, each once."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from uuid import UUID

import pytest

from moneyflow.events.auth import SignedIn
from moneyflow.events.user import UserActivated, UserCreated, UserDeleted, UserUpdated
from moneyflow.platform import clock
from moneyflow.platform.database import Database, Session
from moneyflow.platform.events.emit import emit, next_sequence
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from ops.dev.crm_double.faults import KINDS
from tests.support.crm import ALL_FAULTS, RESYNC_REFUSED, RunningCrm, differences, running_crm
from tests.support.processes import Process, Processes
from tests.support.waiting import eventually

#: People at once; the oldest are deleted when there are more.
_PEOPLE = 60


class Crowd:
    """People who sign up, activate, sign in, change their names and leave, at random, each act with its event."""

    def __init__(self, database: Database, seed: int) -> None:
        self._database = database
        self._dice = random.Random(seed)
        self._ids: list[UUID] = []
        self.deleted: list[UUID] = []
        self.acts = 0

    def act(self) -> None:
        """Let a person do something."""
        acts = [self._sign_up] if len(self._ids) < 5 else [self._sign_up, self._rename, self._rename, self._sign_in]
        act = (
            self._delete
            if len(self._ids) > _PEOPLE
            else self._dice.choice([*acts, *([self._delete] * (len(acts) > 1))])
        )
        with self._database.transaction() as session:
            act(session)
        self.acts += 1

    def _sign_up(self, session: Session) -> None:
        id_ = new_id()
        values = {"id": id_, "email": f"{id_}@mail.example"}
        session.execute("insert into users (id, email, name) values (%(id)s, %(email)s, 'Ada')", values)
        emit(session, UserCreated(sequence=1, user_id=id_, created_at=clock.now()))
        if self._dice.random() < 0.5:
            session.execute("update users set version = 2, activated_at = now() where id = %(id)s", values)
            emit(session, UserActivated(sequence=2, user_id=id_, activated_at=clock.now()))
        self._ids.append(id_)

    def _rename(self, session: Session) -> None:
        id_ = self._dice.choice(self._ids)
        values = {"id": id_, "name": f"Ada {self._dice.randrange(1000)}"}
        row = session.fetch_one(
            "update users set name = %(name)s, version = version + 1 where id = %(id)s returning version", values
        )
        assert row is not None
        emit(session, UserUpdated(sequence=row["version"], user_id=id_, changed=("name",)))

    def _sign_in(self, session: Session) -> None:
        id_ = self._dice.choice(self._ids)
        emit(session, SignedIn(sequence=next_sequence(session, f"auth:{id_}"), user_id=id_, session_id=new_id()))

    def _delete(self, session: Session) -> None:
        id_ = self._ids.pop(self._dice.randrange(len(self._ids)))
        row = session.fetch_one("delete from users where id = %(id)s returning version", {"id": id_})
        assert row is not None
        emit(session, UserDeleted(sequence=row["version"] + 1, user_id=id_))
        self.deleted.append(id_)


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[RunningCrm]:
    with running_crm(tmp_path / "crm.sqlite") as running:
        yield running


@pytest.fixture
def ours(settings: AllSettings) -> Iterator[Database]:
    database = Database(settings.conninfo("crm", application_name="test"), size=2)
    database.open()
    yield database
    database.close()


@contextmanager
def _acting(crowd: Crowd) -> Iterator[None]:
    """Let people act while the block runs."""
    stopping = Event()

    def act() -> None:
        while not stopping.wait(0.01):
            crowd.act()

    thread = Thread(target=act)
    thread.start()
    yield
    stopping.set()
    thread.join()


def _consumer(processes: Processes, crm: RunningCrm, adapter: str) -> Process:
    return processes.consumer("crm", sabotage="sends_soon", wait_ready=False, **crm.settings(adapter))


def _differences(crm: RunningCrm, ours: Database) -> list[str]:
    """Have those sent again whom a fault has refused, and return where the CRM differs."""
    with ours.transaction() as session:
        session.execute(RESYNC_REFUSED)
        return differences(crm, session.fetch_all)


@pytest.mark.parametrize("adapter", ["hubspot", "webhook"])
def test_through_every_fault_and_killed_and_frozen_consumers_the_crm_ends_as_the_source(
    adapter: str, platform: AllSettings, database: Database, processes: Processes, crm: RunningCrm, ours: Database
) -> None:
    processes.relay()
    crowd = Crowd(database, seed=7)
    crm.set_faults(*ALL_FAULTS)
    dice = random.Random(7)
    consumers = [_consumer(processes, crm, adapter) for _ in range(2)]

    with _acting(crowd):
        for round_ in range(2):
            at = time.monotonic() + 2
            eventually(lambda at=at: time.monotonic() > at, what="some acts")  # type: ignore[misc] # bound as it is
            victim = dice.randrange(2)
            if round_ % 2:
                consumers[victim].kill()
                consumers[victim] = _consumer(processes, crm, adapter)
            else:
                frozen = consumers[victim]
                frozen.signal(signal.SIGSTOP)
                consumers[victim] = _consumer(processes, crm, adapter)
                thawed = time.monotonic() + 4.5  # Longer than its lease.
                eventually(lambda thawed=thawed: time.monotonic() > thawed, what="its lease is over")  # type: ignore[misc]
                frozen.signal(signal.SIGCONT)
        eventually(lambda: crm.double.faults.met.keys() == set(KINDS), what="every fault was met")
    crm.set_faults()

    eventually(lambda: not _differences(crm, ours), seconds=90, what="the CRM has what the tables have")

    assert crowd.deleted
    assert not crm.contacts().keys() & set(crowd.deleted)
