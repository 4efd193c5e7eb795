"""The mail catcher shows every mail, whatever script its headers are written in."""

from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTPUTF8

import httpx
import pytest

from ops.dev.stack.mail_catcher import Mailbox, serve_web
from tests.support.processes import free_port


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def page(mailbox: Mailbox) -> Iterator[httpx.Client]:
    port = free_port()
    server = serve_web(mailbox, port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    server.shutdown()
    server.server_close()


def _mail(number: int) -> bytes:
    message = EmailMessage(policy=SMTPUTF8)
    message["From"] = "Money Flow <no-reply@money-flow.example>"
    message["To"] = "山田太郎 <山田太郎@müller.example>"
    message["Subject"] = f"Grüße {number}"
    message["Message-ID"] = f"<{number}@money-flow.example>"
    message.set_content("Hello 山田太郎")
    message.add_alternative("<p>Hello <a href='https://money-flow.example'>you</a></p>", subtype="html")
    return message.as_bytes()


def test_addresses_and_subjects_of_any_script_are_listed_and_shown(mailbox: Mailbox, page: httpx.Client) -> None:
    mailbox.add(_mail(1), ["山田太郎@müller.example"])

    (brief,) = page.get("/api/v1/messages").json()["messages"]
    shown = page.get(f"/view/{brief['ID']}").text

    assert brief["To"] == [{"Name": "山田太郎", "Address": "山田太郎@müller.example"}]
    assert brief["Subject"] == "Grüße 1"
    assert "山田太郎@müller.example" in page.get("/").text
    assert "Hello 山田太郎" in shown
    assert 'sandbox="allow-popups"' in shown


def test_more_mails_than_a_page_holds_are_reached_by_their_start(mailbox: Mailbox, page: httpx.Client) -> None:
    mail = _mail(999_999)  # Composing a thousand of them takes half a minute.
    for number in range(1, 1004):
        mailbox.add(mail.replace(b"999999", str(number).encode()), [])

    first = page.get("/api/v1/messages", params={"limit": 5000}).json()
    last = page.get("/api/v1/messages", params={"start": 1000, "limit": 5000}).json()

    assert (first["total"], len(first["messages"])) == (1003, 1000)
    assert [mail["Subject"] for mail in last["messages"]] == ["Grüße 3", "Grüße 2", "Grüße 1"]
    assert page.get("/api/v1/messages", params={"start": 2000}).json()["messages"] == []
