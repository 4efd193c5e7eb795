"""The SMTP adapter over TLS and with a login, on a real server with a certificate of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import mail_templates
from moneyflow.gateways.mail import Mailer, Recipient
from moneyflow.gateways.mail.settings import MailSettings
from moneyflow.gateways.mail.smtp import SmtpMailer
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.ids import new_id
from moneyflow.settings import load
from tests.support.smtp import PASSWORD, USER, Certificate, Mailhost, mailhost, make_certificate

_VALUES = {"name": "Zoë", "app_url": "https://money.example"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """Let this process trust the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    return certificate


@contextmanager
def _mailer(host: Mailhost, **settings: str) -> Iterator[Mailer]:
    where = {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(host.port)}
    mailer = SmtpMailer(load(MailSettings, where | settings), mail_templates.render)
    yield mailer
    mailer.close()


def _send(mailer: Mailer) -> None:
    to = Recipient(name="Zoë", address="zoe@example.com")
    mailer.send("welcome", to=to, values=_VALUES, job_id=new_id())


@pytest.mark.parametrize("encryption", ["tls", "starttls"])
def test_mails_go_over_one_encrypted_connection(encryption: str, trusted: Certificate) -> None:
    with (
        mailhost(certificate=trusted, starttls=encryption == "starttls") as host,
        _mailer(host, MAIL_ENCRYPTION=encryption) as mailer,
    ):
        _send(mailer)
        _send(mailer)

        assert (len(host.caught), host.connections) == (2, 1)


@pytest.mark.parametrize("encryption", ["tls", "starttls"])
def test_an_untrusted_certificate_is_refused(encryption: str, certificate: Certificate) -> None:
    with (
        mailhost(certificate=certificate, starttls=encryption == "starttls") as host,
        _mailer(host, MAIL_ENCRYPTION=encryption) as mailer,
    ):
        with pytest.raises(UnavailableError, match=r"(?i)certificate"):
            _send(mailer)

        assert host.caught == []


def test_no_mail_goes_out_in_the_clear_when_the_server_offers_no_starttls() -> None:
    with mailhost() as host, _mailer(host, MAIL_ENCRYPTION="starttls") as mailer:
        with pytest.raises(UnavailableError, match=r"(?i)starttls"):
            _send(mailer)

        assert host.caught == []


def test_a_login_opens_the_server(trusted: Certificate) -> None:
    login = {"MAIL_ENCRYPTION": "starttls", "MAIL_USERNAME": USER, "MAIL_PASSWORD": PASSWORD}
    with mailhost(certificate=trusted, starttls=True, login=True) as host, _mailer(host, **login) as mailer:
        _send(mailer)
        _send(mailer)

        assert (len(host.caught), host.logins) == (2, 1)


def test_a_wrong_password_is_a_fault_of_the_configuration_and_in_no_error(trusted: Certificate) -> None:
    login = {"MAIL_ENCRYPTION": "starttls", "MAIL_USERNAME": USER, "MAIL_PASSWORD": "wrong-password"}
    with mailhost(certificate=trusted, starttls=True, login=True) as host, _mailer(host, **login) as mailer:
        with pytest.raises(UnavailableError, match="535") as caught:
            _send(mailer)

        assert host.caught == []
        assert "wrong-password" not in str(caught.value)
