"""Names, addresses and subjects of many scripts arrive as they are, and none becomes a header of its own."""

from collections.abc import Iterator

import pytest

from mail_templates import RenderedMail
from moneyflow.gateways.mail import Mailer, Recipient
from moneyflow.platform.errors import PermanentError
from moneyflow.platform.ids import new_id
from moneyflow.platform.settings import load
from tests.support.smtp import Caught, Mailhost, mailhost

_NAMES = [
    "Zoë Müller",
    "Владимир Владимирович Маяковский",
    "山田 太郎",
    "محمد عبد الله",
    "אברהם בן־גוריון",
    "नरेन्द्र शर्मा",
    "👩‍👩‍👧 family",
    'Ann "Quick" O\'Neil, Jr. (finance)',
    "a@b.example",
    "<evil@example.com>",
    "back\\slash; semi:colon",
    "Zoë " * 40,
    "x" * 300,
    "",
]

_ADDRESSES = [
    "zoe+tag@example.com",
    "o'neil@example.com",
    '"quoted local, part"@example.com',
    "zoë@example.com",
    "владимир@example.com",
    "用户@例子.广告",
    "zoe@bücher.example",
    f"{'l' * 64}@{'d' * 60}.example.com",
]


@pytest.fixture
def host() -> Iterator[Mailhost]:
    with mailhost() as running:
        yield running


def _deliver(host: Mailhost, to: Recipient, subject: str = "A subject", **environment: str) -> Caught:
    rendered = RenderedMail(subject=subject, text="text\n", html="<p>html</p>\n")
    where = {"SECRET_KEY": "k" * 40, "MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(host.port)}
    mailer = Mailer(load(where | environment), lambda *_: rendered)
    try:
        mailer.send("welcome", to=to, values={}, job_id=new_id())
    finally:
        mailer.close()
    return host.caught[-1]


def _solid(text: str) -> str:
    """Leave out the spaces: Python before 3.12.5 loses some of them where it folds a long header that is no ASCII."""
    return "".join(text.split())


@pytest.mark.parametrize("name", _NAMES)
def test_a_name_arrives_as_it_is_in_to_and_in_from(name: str, host: Mailhost) -> None:
    caught = _deliver(host, Recipient(name=name, address="zoe@example.com"), MAIL_FROM_NAME=name)

    (to,), (sender,) = caught.headers["To"].addresses, caught.headers["From"].addresses
    assert (_solid(to.display_name), to.addr_spec) == (_solid(name), "zoe@example.com")
    assert (_solid(sender.display_name), sender.addr_spec) == (_solid(name), "no-reply@money-flow.example")
    assert caught.recipients == ["zoe@example.com"]


@pytest.mark.parametrize("address", _ADDRESSES)
def test_an_address_of_any_script_is_reached(address: str, host: Mailhost) -> None:
    caught = _deliver(host, Recipient(name="Zoë", address=address))

    (to,) = caught.headers["To"].addresses
    assert caught.recipients == [address]
    assert to.addr_spec == address


@pytest.mark.parametrize("subject", [*_NAMES[:-1], "§" * 500, "word " * 100])
def test_a_subject_arrives_as_it_is(subject: str, host: Mailhost) -> None:
    caught = _deliver(host, Recipient(name="Zoë", address="zoe@example.com"), subject=subject)

    assert _solid(str(caught.headers["Subject"])) == _solid(subject)
    assert all(len(line) <= 998 for line in caught.raw.split(b"\r\n")), "RFC 5322, 2.1.1"


@pytest.mark.parametrize(
    "evil",
    ["Zoë\r\nBcc: all@example.com", "Zoë\nBcc: all@example.com", "Zoë\rBcc: all@example.com", "Zoë\r\n\r\nbody"],
)
@pytest.mark.parametrize("place", ["name", "subject", "address"])
def test_a_line_break_makes_no_header_of_its_own(place: str, evil: str, host: Mailhost) -> None:
    fields = {"name": "Zoë", "subject": "A subject", "address": "zoe@example.com"} | {place: evil}

    with pytest.raises(PermanentError, match="headers cannot be written"):
        _deliver(host, Recipient(name=fields["name"], address=fields["address"]), fields["subject"])

    assert host.caught == []


@pytest.mark.parametrize(
    "address",
    ["", "zoe", "zoe@", "@example.com", "a b@example.com", "a@b@c", "zoë", "zoë@", "zo ë@a b", "zoe@example.com,x@y"],
)
def test_an_address_that_is_none_fails_for_good(address: str, host: Mailhost) -> None:
    with pytest.raises(PermanentError):
        _deliver(host, Recipient(name="Zoë", address=address))

    assert host.caught == []


def test_a_long_domain_does_not_break_the_message_id(host: Mailhost) -> None:
    sender = f"no-reply@{'long.' * 20}example.com"

    caught = _deliver(host, Recipient(name="Zoë", address="zoe@example.com"), MAIL_FROM_ADDRESS=sender)

    assert f"{'long.' * 20}example.com>".encode() in caught.raw
    assert b"=?utf-8" not in caught.raw.partition(b"Message-ID:")[2].partition(b"\r\nAuto-")[0]
