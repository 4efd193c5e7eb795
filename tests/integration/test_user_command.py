"""`moneyflow user create-admin`: promotes, creates with a password of the terminal, or invites."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import orjson
import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from moneyflow.accounts.passwords import Passwords
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs, people
from tests.support.command_line import moneyflow, moneyflow_json

_ROOT = Path(__file__).parents[2]
_EMAIL = "ada@mail.example"
_PASSWORD = "correct horse battery"


def _user(database: Database, email: str = _EMAIL) -> DictRow:
    with database.transaction() as session:
        row = session.fetch_one("select * from users where email = %(email)s", {"email": email})
    assert row is not None
    return row


def _events(settings: AllSettings, user_id: object) -> list[str]:
    conninfo = settings.conninfo("owner", application_name="test")
    with psycopg.connect(conninfo, row_factory=dict_row) as connection:
        rows = connection.execute("select value from outbox_events where key = %s order by sequence", [str(user_id)])
        return [orjson.loads(row["value"])["type"] for row in rows]


def _on_a_terminal(environment: dict[str, str], *arguments: str, typed: Sequence[str]) -> tuple[int, str]:
    """Run a command on a terminal, answer its prompts, and return its exit code and what the terminal showed."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.cli", *arguments],
        cwd=_ROOT, env=os.environ | environment, stdin=secondary, stdout=secondary, stderr=secondary,
        start_new_session=True,
    )  # fmt: skip
    os.close(secondary)
    shown, answers = b"", list(typed)
    with suppress(OSError):  # The terminal is closed with its last process.
        while part := os.read(primary, 4096):
            shown += part
            if shown.endswith(b": ") and answers:
                os.write(primary, answers.pop(0).encode() + b"\n")
    os.close(primary)
    return process.wait(60), shown.decode()


def test_an_active_account_is_promoted_once(
    settings: AllSettings, database: Database, environment: dict[str, str]
) -> None:
    person = people.sign_up(database, name="Ada")
    with database.transaction() as session:
        session.execute("update users set activated_at = now()")

    first = moneyflow_json(environment, "user", "create-admin", person.email.upper())
    again = moneyflow_json(environment, "user", "create-admin", person.email)

    assert first == {"user_id": str(person.user_id), "outcome": "promoted"}
    assert again == {"user_id": str(person.user_id), "outcome": "administrator already"}
    assert _user(database, person.email)["role"] == "administrator"
    assert _events(settings, person.user_id) == ["user.created", "user.updated"]


def test_an_account_is_made_with_the_password_that_is_typed_and_is_active(
    settings: AllSettings, database: Database, environment: dict[str, str]
) -> None:
    typed = [_PASSWORD, _PASSWORD]

    code, shown = _on_a_terminal(environment, "user", "create-admin", _EMAIL, "--name", "Ada", typed=typed)

    user = _user(database)
    assert (code, user["role"], user["name"]) == (0, "administrator", "Ada"), shown
    assert user["activated_at"] is not None
    assert f"{user['id']} created" in shown
    assert _PASSWORD not in shown
    assert Passwords().is_correct(_PASSWORD, encoded=user["password_hash"])
    assert _events(settings, user["id"]) == ["user.created", "user.activated"]


def test_a_known_bad_password_is_refused_with_what_to_do(database: Database, environment: dict[str, str]) -> None:
    code, shown = _on_a_terminal(
        environment, "user", "create-admin", _EMAIL, "--name", "Ada", typed=["password1", "password1"]
    )

    assert (code, "is among the most used passwords" in shown) == (2, True), shown
    with database.transaction() as session:
        assert session.fetch_all("select 1 from users") == []


def test_an_administrator_is_invited_by_mail(database: Database, environment: dict[str, str]) -> None:
    made = moneyflow_json(environment, "user", "create-admin", _EMAIL, "--name", "Ada", "--invite")

    user = _user(database)
    assert (made["outcome"], made["user_id"]) == ("invited", str(user["id"]))
    assert (user["role"], user["password_hash"], user["activated_at"]) == ("administrator", None, None)
    assert jobs.job(database, UUID(made["job_id"]))["payload"] == {
        "template": "invitation", "user_id": str(user["id"]),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((_EMAIL,), "ada@mail.example has no active account; give --name to make one"),
        ((_EMAIL, "--name", "Ada"), "no terminal to ask for a password on; give --invite"),
        (("ada", "--name", "Ada", "--invite"), "email must be an address such as ada@mail.example"),
        ((_EMAIL, "--name", "see https://evil.example", "--invite"), "name must not look like a link"),
    ],
)
def test_what_cannot_be_done_is_exit_code_2_with_what_to_do(
    database: Database, environment: dict[str, str], arguments: tuple[str, ...], error: str
) -> None:
    done = moneyflow(environment, "user", "create-admin", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert error in done.stderr
    with database.transaction() as session:
        assert session.fetch_all("select 1 from users") == []


def test_the_operators_credentials_make_no_administrator(environment: dict[str, str]) -> None:
    operator = {
        name: value for name, value in environment.items() if name not in {"POSTGRES_USER", "POSTGRES_PASSWORD"}
    }

    done = moneyflow(operator, "user", "create-admin", _EMAIL, "--name", "Ada", "--invite")

    assert (done.returncode, done.stdout) == (2, "")
    assert "password authentication failed" in done.stderr
