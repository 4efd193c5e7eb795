"""Five nights of an operator: each trouble is found, understood and repaired at 80 columns, by the runbooks' commands.

The operator types only commands that a screen has just shown, or that a runbook has; a test that leaves the path fails.
"""

import os
import re
import shlex
import signal
from pathlib import Path
from uuid import UUID

import pytest
import rich.cells

from moneyflow.jobs.send_email import SendEmail
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import AllSettings
from tests.support import jobs, people
from tests.support.failures import fail_jobs, moneyflow
from tests.support.kinds import Reach
from tests.support.processes import Processes, free_port
from tests.support.servers import RealServers
from tests.support.waiting import eventually

_RUNBOOKS = Path(__file__).parents[2] / "ops" / "runbooks"
_COLUMNS = 80
#: A group of failures, as `failed groups` prints it.
_GROUP = re.compile(r"\b[0-9a-f]{10}\b")


class Operator:
    """Types commands on a terminal of 80 columns, and reads what they print."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment | {"COLUMNS": str(_COLUMNS)}
        self._known = "\n".join(page.read_text(encoding="utf-8") for page in _RUNBOOKS.glob("*.md"))
        self.screen = ""

    def types(self, line: str, *, code: int = 0) -> str:
        """Run a command that the last screen or a runbook shows, and return what it prints."""
        program, *words = shlex.split(line)
        command = " ".join([program, *(word for word in words[:2] if not word.startswith("-"))])
        assert program == "moneyflow"
        assert command in self._known + self.screen, f"no screen and no runbook shows `{command}`"
        answer = moneyflow(self._environment, *words)
        self.screen = answer.text + answer.notes
        assert answer.code == code, self.screen
        wide = [one for one in self.screen.splitlines() if rich.cells.cell_len(one) > _COLUMNS]
        assert not wide, f"`{line}` prints lines that do not fit: {wide}"
        return self.screen

    def finds(self, text: str, *, command: str) -> str:
        """Look at `moneyflow status` until it shows the trouble with the command that helps; return its section."""

        def is_shown() -> bool:
            self.screen = moneyflow(self._environment, "status").text
            return text in " ".join(self.screen.split())

        eventually(is_shown, what=f"`moneyflow status` shows {text!r}")
        lines = self.screen.splitlines()
        assert f"  {command}" in lines, self.screen
        page, _, anchor = lines[lines.index(f"  {command}") + 1].strip().removeprefix("ops/runbooks/").partition("#")
        titles = re.findall(r"^## (.*)$", (_RUNBOOKS / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}
        return anchor

    def sees_no(self, text: str) -> None:
        """Look at `moneyflow status` until it shows the trouble no more."""

        def is_gone() -> bool:
            self.screen = moneyflow(self._environment, "status").text
            return text not in " ".join(self.screen.split())

        eventually(is_gone, what=f"`moneyflow status` shows {text!r} no more")


@pytest.fixture
def operator(environment: dict[str, str], platform: AllSettings) -> Operator:
    assert platform.postgres_db in environment.values()
    return Operator(environment)


def _mail(database: Database, count: int) -> list[UUID]:
    person = people.sign_up(database, name="Zoë")
    with database.transaction() as session:
        return [enqueue(session, SendEmail(template="welcome", user_id=person.user_id)) for _ in range(count)]


def test_the_mail_server_refuses_connections(operator: Operator, database: Database, processes: Processes) -> None:
    processes.relay(wait_ready=False)
    unable = processes.worker(MAIL_PORT=str(free_port()))
    mails = _mail(database, 40)

    section = operator.finds("send_email has been paused by its breaker", command="moneyflow queue resume send_email")
    assert section == "a-kind-is-paused"
    assert "no connection to the mail server" in " ".join(operator.types("moneyflow queue status").split())
    unable.stop()  # The operator repairs MAIL_PORT.
    processes.worker()
    operator.types("moneyflow queue resume send_email")

    jobs.until_all(database, mails, "succeeded")
    operator.sees_no("send_email has been paused")


def test_a_mails_template_does_not_exist(operator: Operator, database: Database, processes: Processes) -> None:
    processes.relay(wait_ready=False)
    mails = _mail(database, 3)
    with database.transaction() as session:
        session.execute(
            """update jobs set payload = payload || '{"template": "summer_sale"}' where id = %(id)s""", {"id": mails[0]}
        )
    processes.worker()

    section = operator.finds("no worker can read 1 jobs of send_email", command="moneyflow queue status")
    assert section == "jobs-are-parked"
    shown = operator.types("moneyflow queue status")
    assert "summer_sale" in " ".join(shown.split())
    assert str(mails[0]) in shown
    assert "summer_sale" in operator.types(f"moneyflow jobs show {mails[0]}")
    operator.types(f"moneyflow jobs cancel {mails[0]} --reason 'no version has this template'")

    jobs.until_all(database, mails[1:], "succeeded")
    operator.sees_no("no worker can read")


def test_a_payload_cannot_be_read(operator: Operator, database: Database, processes: Processes) -> None:
    (broken, whole) = jobs.enqueue(database, Reach(), Reach())
    with database.transaction() as session:
        session.execute("""update jobs set payload = '{"down": 7}' where id = %(id)s""", {"id": broken})
    processes.relay(wait_ready=False)
    processes.worker()

    section = operator.finds("no worker can read 1 jobs of reach", command="moneyflow queue status")
    assert section == "jobs-are-parked"
    shown = operator.types("moneyflow queue status")
    assert str(broken) in shown
    assert "down" in operator.types(f"moneyflow jobs show {broken}")
    operator.types(f"moneyflow jobs cancel {broken} --reason 'written by hand'")

    jobs.until_all(database, [whole], "succeeded")
    operator.sees_no("no worker can read")


def test_rabbitmq_is_killed(
    operator: Operator, database: Database, processes: Processes, breakable: RealServers
) -> None:
    processes.relay()
    processes.worker()
    node = breakable.rabbitmq.identity()
    assert node is not None
    os.kill(node.pid, signal.SIGKILL)

    section = operator.finds("rabbitmq at", command="make up")
    assert section == "a-server-is-down"
    breakable.rabbitmq.start()  # What `make up` does, which has tests of its own.
    breakable.rabbitmq.wait_ready()

    ran = jobs.enqueue(database, Reach(), Reach())
    jobs.until_all(database, ran, "succeeded")
    operator.sees_no("rabbitmq at")


@pytest.fixture
def failures(database: Database) -> list[UUID]:
    """Return 350 failed jobs of three kinds; those of `reach` fail no more when they run again."""
    found = fail_jobs(database, 200, kind="reach", message="provider # is down")
    found += fail_jobs(database, 100, kind="leave_effect", error_class="KeyError", message="'email'")
    found += fail_jobs(database, 50, kind="patient", error_class="DeclinedError", message="the card was declined")
    return found


def test_three_hundred_and_fifty_jobs_of_three_kinds_have_failed(
    operator: Operator, database: Database, processes: Processes, failures: list[UUID]
) -> None:
    processes.relay(wait_ready=False)
    processes.worker()

    section = operator.finds("350 jobs have failed", command="moneyflow failed groups")
    assert section == "what-failed-and-why"
    shown = operator.types("moneyflow failed groups")
    assert all(word in shown for word in ("reach", "leave_effect", "patient", "200", "100", "50"))
    reach = _GROUP.findall(operator.types("moneyflow failed groups --kind reach"))[0]
    assert "provider" in operator.types(f"moneyflow failed list --group {reach} --limit 3")
    operator.types(f"moneyflow failed replay --group {reach} --dry-run --reason 'it is up again'")
    assert "200" in operator.screen
    operator.types(f"moneyflow failed replay --group {reach} --canary 5 --rate 500/s --reason 'it is up again'")
    operator.types("moneyflow failed replay --kind leave_effect --canary 5 --rate 500/s --reason 'the field is there'")
    operator.types("moneyflow failed discard --kind patient --yes --reason 'the cards stay declined'")

    ended = {"succeeded": 300, "discarded": 50}
    eventually(lambda: jobs.states(database, failures) == ended, what="the last of the replayed jobs have run")
    operator.sees_no("jobs have failed")
    assert "discard" in operator.types("moneyflow failed operations")
