"""Headers of mails: what is validated is what is sent, on every Python of this machine."""

import subprocess
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from moneyflow.gateways.mail.addresses import check_name, mail_address
from moneyflow.gateways.mail.reading import check_message
from moneyflow.gateways.mail.settings import MailSettings
from moneyflow.platform.errors import ConfigurationError, PermanentError
from moneyflow.settings import load
from tests.support import mail_headers
from tests.support.mail_headers import ATTACKS, BAD_ADDRESSES, GOOD_ADDRESSES, GOOD_NAMES, Texts, built, read, solid
from tests.support.pythons import interpreters

_ROOT = Path(__file__).parents[2]
_HEADERS = [
    "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
]  # fmt: skip
_TEXTS = {"plain": b"text\n", "html": b"<p>html</p>\n"}


@pytest.mark.parametrize("version", sorted(interpreters()))
def test_every_attack_is_refused_and_every_name_arrives_on_each_python_of_this_machine(version: str) -> None:
    path = f"{_ROOT}:{sysconfig.get_paths()['purelib']}"

    done = subprocess.run(
        [interpreters()[version], "-m", mail_headers.__name__],
        cwd=_ROOT, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.stdout, done.returncode) == (f"0 faults on Python {version}\n", 0), done.stderr


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", ["name", "sender", "subject", "address"])
def test_what_a_reader_would_decode_or_not_show_is_refused_in_every_header(place: str, attack: str) -> None:
    with pytest.raises(PermanentError, match=r"headers cannot be written: .*must"):
        built(**{place: attack})


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_message_has_its_own_headers_once_and_no_bare_line_break(name: str) -> None:
    content = built(name=name, sender=name, subject=name)

    message = read(content)
    assert message.keys() == _HEADERS
    assert [address.addr_spec for address in message["To"].addresses] == ["zoe@example.com"]
    assert [solid(address.display_name) for address in message["To"].addresses] == [solid(name)]
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")


def test_the_texts_arrive_as_they_are_whatever_line_ends_they_have() -> None:
    text = "a\r\nb\rc\n.\n..\n=2E é 👩\x85\u2028 " + "long " * 100 + "\nFrom x\n--=_\n \n"
    texts = Texts(text=text, html="<p>é</p>")

    message = read(mail_headers.built_of(texts))

    plain, rich = message.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == text.replace("\r\n", "\n").replace("\r", "\n")
    assert rich.get_content().strip() == "<p>é</p>"


def test_a_text_that_cannot_be_encoded_fails_for_good() -> None:
    with pytest.raises(PermanentError, match="text cannot be encoded"):
        mail_headers.built_of(replace(Texts(), html="\ud800"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Subject: A subject\r\n", b"Subject: A subject\r\nBcc: evil@attacker.example\r\n"),
        (b"Subject: A subject\r\n", b"Subject: A subject\r\nSubject: another\r\n"),
        (b"Subject: A subject\r\n", b""),
        (b"Subject: A subject\r\n", b"Subject: A subject\r\n\r\n"),
        (b"Subject: A subject\r\n", b"Subject: A subject\nBcc: evil@attacker.example\r\n"),
        (b"Subject: A subject\r\n", b"Subject: A subject\rBcc: evil@attacker.example\r\n"),
        (b"A subject", b"A \x00 subject"),
        (b"A subject", b"A" * 1000),
        (b"<zoe@example.com>", b"<evil@attacker.example>"),
        (b"<zoe@example.com>", b"<zoe@example.com>, <evil@attacker.example>"),
        (b"<zoe@example.com>", b"<evil@attacker.example>, <zoe@example.com>"),
        (b"<zoe@example.com>", b"evil@attacker.example <zoe@example.com>"),
        (b"To: ", b"To: evil: "),
        (b"<no-reply@money-flow.example>", b"<evil@attacker.example>"),
        (b"multipart/alternative", b"multipart/mixed2; x"),
        (b"text/plain", b"text/calendar"),
        (b"\r\n\r\ntext", b"\r\nContent-Disposition: attachment\r\n\r\ntext"),
        (b"text\r\n", b"another text\r\n"),
        (b"html</p>", b"evil</p>"),
    ],
)
def test_a_message_that_is_not_its_own_any_more_is_not_sent(before: bytes, after: bytes) -> None:
    content = built()
    check_message(content, sender="no-reply@money-flow.example", recipient="zoe@example.com", texts=_TEXTS)
    changed = content.replace(before, after, 1)
    assert changed != content

    with pytest.raises(PermanentError, match="the mail was not sent: its message has"):
        check_message(changed, sender="no-reply@money-flow.example", recipient="zoe@example.com", texts=_TEXTS)


@pytest.mark.parametrize("text", GOOD_ADDRESSES)
def test_an_address_that_was_read_reads_as_itself(text: str) -> None:
    assert str(mail_address(str(mail_address(text)))) == str(mail_address(text)) == text


@pytest.mark.parametrize("text", BAD_ADDRESSES)
def test_what_is_not_a_bare_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        mail_address(text)


def test_a_name_is_bounded() -> None:
    check_name("x" * 100)

    with pytest.raises(ValueError, match="at most 100 characters"):
        check_name("x" * 101)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", ["MAIL_FROM_NAME", "MAIL_FROM_ADDRESS"])
def test_the_sender_of_the_settings_is_checked_when_a_process_starts(name: str, attack: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: must"):
        load(MailSettings, {name: attack})


def test_the_address_of_the_settings_has_no_name() -> None:
    with pytest.raises(ConfigurationError, match="MAIL_FROM_ADDRESS: must be an address"):
        load(MailSettings, {"MAIL_FROM_ADDRESS": "Money Flow <no-reply@money-flow.example>"})
