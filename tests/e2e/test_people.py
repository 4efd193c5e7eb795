"""People through all processes: invited, activated, and with a new address; each process with its own rights."""

import uuid
from typing import Any

import httpx

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import callers, mails
from tests.support.processes import Processes
from tests.support.waiting import eventually

_PASSWORD = "correct horse battery"


def _address() -> str:
    return f"{uuid.uuid4().hex}@mail.example"


def _mailed(settings: AllSettings, address: str) -> tuple[str, str]:
    """Wait for the one mail to an address; return its subject, and the token of its link if it has one."""
    (mail,) = eventually(lambda: mails.to(settings, address), what=f"a mail to {address}")
    return mail["Subject"], mail["Text"].partition("#token=")[2].partition("\n")[0].strip()


def _signed_in(client: httpx.Client, email: str) -> dict[str, str]:
    answer = client.post("/v1/sessions", json={"email": email, "password": _PASSWORD, "transport": "bearer"})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def test_an_invited_person_chooses_a_password_and_then_another_address(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    processes.worker()
    api = processes.api()
    bob, other, administrator = _address(), _address(), callers.administrator(platform)
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", timeout=15, trust_env=False) as client:

        def batch(location: str) -> Any:
            return client.get(location, headers=administrator).json()

        people = [{"email": bob, "name": "Bob"}, {"email": "nowhere", "name": "Eve"}]
        invited = client.post("/v1/users/batch", json={"users": people}, headers=administrator)
        location = invited.headers["Location"]
        ended = eventually(lambda: found if (found := batch(location))["state"] == "ended" else None, what="the end")
        assert (ended["counts"], [one["line"] for one in ended["refused"]]) == ({"succeeded": 1}, [2])

        subject, token = _mailed(platform, bob)
        assert subject == "You are invited to Money Flow"
        activation = {"token": token, "password": _PASSWORD, "name": "Bob Barker"}
        assert client.post("/v1/users/activation", json=activation).status_code == 200

        session = _signed_in(client, bob)
        change = {"email": other, "current_password": _PASSWORD}
        assert client.put("/v1/users/me/email", json=change, headers=session).status_code == 202
        subject, token = _mailed(platform, other)
        assert subject == "Confirm your new Money Flow address"
        confirmed = client.post("/v1/users/me/email/confirm", json={"token": token}, headers=session)
        assert (confirmed.status_code, confirmed.json()["email"]) == (200, other)
        _signed_in(client, other)

    notices = eventually(
        lambda: [mail for mail in mails.to(platform, bob) if "was changed" in mail["Subject"]], what="the notice"
    )
    assert len(notices) == 1
    eventually(lambda: _forgotten(database), what="the old address is forgotten")


def _forgotten(database: Database) -> bool:
    with database.transaction() as session:
        return session.fetch_all("select old_email from email_changes") == [{"old_email": None}]
