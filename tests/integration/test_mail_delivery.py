"""The SMTP adapter on a real server: its connections, and what each refusal and failure means."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import mail_templates
from moneyflow.gateways.mail import Bounce, Mailer, Recipient, connections
from moneyflow.gateways.mail.settings import MailSettings
from moneyflow.gateways.mail.smtp import SmtpMailer
from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.platform.ids import new_id
from moneyflow.settings import load
from tests.support.processes import free_port
from tests.support.smtp import Mailhost, mailhost

_TO = Recipient(name="Zoë", address="zoe@example.com")
_VALUES = {"name": "Zoë", "app_url": "https://money.example"}

Connect = Callable[..., Mailer]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return a function that makes a mailer for a port of this machine."""
    mailers = []

    def make(port: int, **others: str) -> Mailer:
        settings = load(MailSettings, {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(port)} | others)
        mailers.append(SmtpMailer(settings, mail_templates.render))
        return mailers[-1]

    yield make
    for mailer in mailers:
        mailer.close()


@pytest.fixture
def host() -> Iterator[Mailhost]:
    with mailhost() as running:
        yield running


def _send(mailer: Mailer, *, address: str = _TO.address) -> Bounce | None:
    to = Recipient(name="Zoë", address=address)
    return mailer.send("welcome", to=to, values=_VALUES, job_id=new_id())


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


@pytest.mark.parametrize(
    ("reply", "code", "status", "is_lasting"),
    [
        ("550 5.1.1 no such mailbox", 550, "5.1.1", True),
        ("550 no such mailbox", 550, None, True),
        ("551 user not local", 551, None, True),
        ("553 5.1.3 not an address", 553, "5.1.3", True),
        ("554 no", 554, None, True),
        ("556 5.1.10 the domain takes no mail", 556, "5.1.10", True),
        ("550 5.2.1 the mailbox is disabled", 550, "5.2.1", True),
        ("552 5.2.2 the mailbox is full", 552, "5.2.2", False),
        ("552 over quota", 552, None, False),
    ],
)
def test_a_recipient_who_is_refused_for_good_is_a_bounce_and_the_connection_serves_the_next_mail(
    reply: str, code: int, status: str | None, is_lasting: bool, connect: Connect, host: Mailhost
) -> None:
    mailer = connect(host.port)
    host.refuse_recipient.append(reply)

    bounce = _send(mailer)

    assert bounce == Bounce(code=code, status=status, reason=reply.partition(" ")[2], is_lasting=is_lasting)
    assert (_send(mailer), len(host.caught), host.connections) == (None, 1, 1)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("refuse_data", "550 we take no such mail"),
        ("refuse_data", "554 5.7.1 looks like spam"),
        ("refuse_data", "552 5.3.4 too large"),
        ("refuse_recipient", "550 5.7.1 your address is on a blocklist"),
        ("refuse_recipient", "530 5.7.0 log in first"),
        ("refuse_recipient", "503 bad sequence"),
    ],
)
def test_a_5xx_about_the_mail_or_its_sender_means_never_and_the_connection_serves_the_next_mail(
    stage: str, reply: str, connect: Connect, host: Mailhost
) -> None:
    mailer = connect(host.port)
    getattr(host, stage).append(reply)

    with pytest.raises(PermanentError, match=f"not its recipient: {reply}"):
        _send(mailer)
    _send(mailer)

    assert (len(host.caught), host.connections) == (1, 1)


def test_a_server_that_refuses_the_recipient_after_the_text_is_a_bounce_too(connect: Connect, host: Mailhost) -> None:
    host.refuse_data.append("550 5.1.1 no such mailbox")

    assert _send(connect(host.port)) == Bounce(code=550, status="5.1.1", reason="5.1.1 no such mailbox")


def test_the_reason_of_a_bounce_is_one_line_without_addresses(connect: Connect, host: Mailhost) -> None:
    host.refuse_recipient.append("550-5.1.1 <zoe@example.com> is\r\n550 5.1.1 unknown \x07 here" + " x" * 500)

    bounce = _send(connect(host.port))

    assert bounce is not None
    assert bounce.reason.startswith("5.1.1 <***@example.com> is 5.1.1 unknown here x x")
    assert len(bounce.reason) <= 200


def test_without_smtputf8_a_domain_beyond_ascii_is_reached_in_its_ascii_form(connect: Connect) -> None:
    with mailhost(smtputf8=False) as host:
        assert _send(connect(host.port), address="zoe@bücher.example") is None

        assert [mail.recipients for mail in host.caught] == [["zoe@xn--bcher-kva.example"]]
        assert host.caught[0].raw.isascii()


def test_without_smtputf8_a_local_part_beyond_ascii_bounces_and_the_connection_serves_the_next_mail(
    connect: Connect,
) -> None:
    with mailhost(smtputf8=False) as host:
        mailer = connect(host.port)

        bounce = _send(mailer, address="zoë@example.com")

        assert bounce is not None
        assert (bounce.code, bounce.status, bounce.is_lasting) == (553, "5.6.7", False)
        assert "SMTPUTF8" in bounce.reason
        assert (_send(mailer), len(host.caught), host.connections) == (None, 1, 1)


def test_a_sender_who_needs_smtputf8_is_a_fault_of_the_configuration_and_means_later(connect: Connect) -> None:
    with mailhost(smtputf8=False) as host:
        mailer = connect(host.port, MAIL_FROM_ADDRESS="größe@money-flow.example")

        with pytest.raises(UnavailableError, match="MAIL_FROM_ADDRESS"):
            _send(mailer)


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
