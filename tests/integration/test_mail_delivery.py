"""The SMTP adapter on a real server: its connections, and what each refusal and failure means."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import mail_templates
from moneyflow.gateways.mail import Mailer, Recipient, connections
from moneyflow.gateways.mail.settings import MailSettings
from moneyflow.gateways.mail.smtp import SmtpMailer
from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.platform.ids import new_id
from moneyflow.settings import load
from tests.support.processes import free_port
from tests.support.smtp import Mailhost, mailhost

_TO = Recipient(name="Zoë", address="zoe@example.com")
_VALUES = {"name": "Zoë", "app_url": "https://money.example"}

Connect = Callable[[int], Mailer]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return a function that makes a mailer for a port of this machine."""
    mailers = []

    def make(port: int) -> Mailer:
        settings = load(MailSettings, {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(port)})
        mailers.append(SmtpMailer(settings, mail_templates.render))
        return mailers[-1]

    yield make
    for mailer in mailers:
        mailer.close()


@pytest.fixture
def host() -> Iterator[Mailhost]:
    with mailhost() as running:
        yield running


def _send(mailer: Mailer) -> None:
    mailer.send("welcome", to=_TO, values=_VALUES, job_id=new_id())


def test_many_mails_go_over_one_connection(connect: Connect, host: Mailhost) -> None:
    mailer = connect(host.port)

    for _ in range(50):
        _send(mailer)

    assert (len(host.caught), host.connections) == (50, 1)


def test_many_threads_need_no_more_connections_than_they_are(connect: Connect, host: Mailhost) -> None:
    mailer = connect(host.port)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: _send(mailer), range(60)))

    assert len(host.caught) == 60
    assert host.connections <= 4


@pytest.mark.parametrize("stage", ["refuse_recipient", "refuse_data"])
def test_a_4xx_means_later_and_the_connection_serves_the_next_mail(
    stage: str, connect: Connect, host: Mailhost
) -> None:
    mailer = connect(host.port)
    getattr(host, stage).append("451 busy, come back")

    with pytest.raises(UnavailableError, match="busy, come back"):
        _send(mailer)
    _send(mailer)

    assert (len(host.caught), host.connections) == (1, 1)


@pytest.mark.parametrize("stage", ["refuse_recipient", "refuse_data"])
def test_a_5xx_means_never_and_the_connection_serves_the_next_mail(
    stage: str, connect: Connect, host: Mailhost
) -> None:
    mailer = connect(host.port)
    getattr(host, stage).append("550 no such mailbox")

    with pytest.raises(PermanentError, match="no such mailbox"):
        _send(mailer)
    _send(mailer)

    assert (len(host.caught), host.connections) == (1, 1)


def test_a_refused_sender_is_a_fault_of_the_configuration_and_means_later(connect: Connect, host: Mailhost) -> None:
    host.refuse_sender.append("553 who are you")

    with pytest.raises(UnavailableError, match="who are you"):
        _send(connect(host.port))


def test_a_server_that_hangs_up_means_later_and_the_next_mail_connects_again(connect: Connect, host: Mailhost) -> None:
    mailer = connect(host.port)
    host.hang_up = True
    with pytest.raises(UnavailableError):
        _send(mailer)
    host.hang_up = False
    host.caught.clear()

    _send(mailer)

    assert (len(host.caught), host.connections) == (1, 2)


def test_a_connection_that_broke_while_it_idled_is_replaced(connect: Connect) -> None:
    with mailhost() as before:
        mailer = connect(before.port)
        _send(mailer)

    with mailhost(port=before.port) as after:
        _send(mailer)

        assert len(after.caught) == 1


def test_a_connection_that_idled_too_long_is_checked_before_it_is_used(
    connect: Connect, host: Mailhost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_IDLE_SECONDS", -1.0)
    mailer = connect(host.port)

    _send(mailer)
    _send(mailer)

    assert (len(host.caught), host.connections) == (2, 1)


def test_no_server_means_later(connect: Connect) -> None:
    port = free_port()

    with pytest.raises(UnavailableError, match=f"no connection to the mail server 127.0.0.1:{port}"):
        _send(connect(port))


def test_a_server_that_never_answers_means_later_in_bounded_time(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(UnavailableError, match=r"(?i)timed out"):
        _send(connect(mute.getsockname()[1]))
