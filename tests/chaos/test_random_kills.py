"""Whatever is killed whenever: who was accepted has an account, a mail and a line in the audit log, once."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from moneyflow.audit.verify import verify
from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import mails, retries
from tests.support.killer import Killer
from tests.support.processes import Processes
from tests.support.waiting import eventually

#: In the long form, and in the short one.
_MANY, _SOME = 1000, 200
_AT_ONCE = 12
#: SMTP knows no exactly-once: a mail that was being sent by a worker that was killed goes out again.
_SENT_TWICE_PER_KILL = 4


def _sign_up_all(url: str, domain: str, people: int) -> None:
    """Let everybody sign up; a request that finds the API busy is repeated under its own key, as a good client does."""
    client = httpx.Client(base_url=url, timeout=30, trust_env=False, limits=httpx.Limits(max_connections=_AT_ONCE))

    def sign_up(number: int) -> None:
        body = {"email": f"person{number}@{domain}", "name": f"Person {number}", "password": "correct horse"}
        answer = retries.post(client, "/v1/users", json=body, headers={"Idempotency-Key": f"{domain}-{number}"})
        assert answer.status_code == 202, answer.text

    with client, ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(sign_up, range(people)))


def _finished(database: Database) -> int:
    with database.transaction() as session:
        row = session.fetch_one("select count(*) as jobs from jobs where state = 'succeeded'")
    assert row is not None
    jobs: int = row["jobs"]
    return jobs


@pytest.fixture
def log(settings: AllSettings) -> Iterator[Database]:
    """Return this test's database, as the role that writes the audit log."""
    database = Database(settings.conninfo("audit", application_name="test"), size=1)
    database.open()
    yield database
    database.close()


@pytest.mark.long_form
@pytest.mark.timeout(600)
def test_many_people_sign_up_while_the_worker_and_the_relay_are_killed_again_and_again(
    platform: AllSettings,
    database: Database,
    log: Database,
    processes: Processes,
    fewer_seeds: int,
    is_long: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    people = _MANY if is_long else _SOME
    domain = f"{uuid.uuid4().hex[:12]}.example"
    api = processes.api()
    processes.consumer("audit")
    victims = [processes.relay(), processes.worker()]

    with Killer(victims, seconds=2 if is_long else 0.8, seed=fewer_seeds, most=1000 if is_long else 5) as killer:
        _sign_up_all(f"http://127.0.0.1:{api.port}", domain, people)
        eventually(lambda: _finished(database) == people, seconds=300, what=f"{people} jobs succeeded")

    def rows() -> int:
        with log.transaction() as session:
            found = session.fetch_one("select count(*) as rows from audit.events where type = 'user.created'")
        assert found is not None
        return int(found["rows"])

    eventually(lambda: rows() >= people, seconds=60, what=f"{people} audit rows")
    with log.transaction() as session:
        chains = list(verify(session))
    with database.transaction() as session:
        users = session.fetch_one("select count(*) as users from users")
    sent = mails.ids_to(platform, domain)
    twice = sent.total() - len(sent)
    with capsys.disabled():
        print(f"\n{people} sign-ups, seed {fewer_seeds}: killed {dict(killer.kills)}, {twice} mails sent twice")

    assert killer.kills.total() >= 3
    assert users == {"users": people}
    assert rows() == people
    assert sum(chain.rows for chain in chains if chain.topic == USER_EVENTS) == people
    assert [chain.fault for chain in chains if chain.fault] == []
    assert len(sent) == people
    assert twice <= killer.kills["workers"] * _SENT_TWICE_PER_KILL
