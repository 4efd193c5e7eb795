"""The conformance suite of mailers: the SMTP adapter on a real server and the mailbox of tests behave alike."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email.headerregistry import Address, AddressHeader
from typing import Any
from uuid import UUID

import jinja2
import pytest
from prometheus_client import REGISTRY

import mail_templates
from mail_templates import RenderedMail
from moneyflow.gateways.mail import Bounce, Recipient
from moneyflow.platform import clock
from moneyflow.platform.errors import ConfigurationError, PermanentError, UnavailableError
from moneyflow.platform.ids import first_id, new_id
from tests.support.mail_headers import ATTACKS, BAD_ADDRESSES, GOOD_ADDRESSES, GOOD_NAMES, solid
from tests.support.mailers import SENDER, Outlet, mailbox_outlet, smtp_outlet
from tests.support.smtp import Caught

_ZOE = Recipient(name="Zoë", address="zoe@example.com")
_VALUES = {"name": "Zoë", "app_url": "https://money.example"}


@pytest.fixture(params=[smtp_outlet, mailbox_outlet], ids=["smtp", "mailbox"])
def outlet(request: pytest.FixtureRequest) -> Iterator[Outlet]:
    with request.param() as made:
        yield made


def _send(outlet: Outlet, *, job_id: UUID | None = None) -> Bounce | None:
    """Send the mail `welcome` by a mailer of its own."""
    mailer = outlet.make(mail_templates.render, SENDER)
    return mailer.send("welcome", to=_ZOE, values=_VALUES, job_id=job_id or new_id())


def _deliver(outlet: Outlet, to: Recipient, *, subject: str = "A subject", sender: Recipient = SENDER) -> Caught:
    rendered = RenderedMail(subject=subject, text="text\n", html="<p>html</p>\n")

    def render(_template: str, _values: Mapping[str, Any]) -> RenderedMail:
        return rendered

    outlet.make(render, sender).send("welcome", to=to, values={}, job_id=new_id())
    return outlet.sent()[-1]


def _counted(outcome: str) -> float:
    labels = {"template": "welcome", "outcome": outcome}
    return REGISTRY.get_sample_value("moneyflow_emails_total", labels) or 0


def _delivered() -> tuple[float, float]:
    """Return the number of delivered mails, and the seconds that they took."""
    parts = (f"moneyflow_email_delivery_seconds_{part}" for part in ("count", "sum"))
    count, seconds = (REGISTRY.get_sample_value(part, {"template": "welcome"}) or 0 for part in parts)
    return count, seconds


def test_a_mail_arrives_with_its_headers_and_both_texts(outlet: Outlet) -> None:
    job_id = new_id()

    _send(outlet, job_id=job_id)

    (caught,) = outlet.sent()
    message = caught.message
    assert (caught.sender, caught.recipients) == ("no-reply@money-flow.example", ["zoe@example.com"])
    assert message["Subject"] == "Welcome to Money Flow, Zoë"
    assert message["From"] == "Money Flow <no-reply@money-flow.example>"
    assert str(message["To"]) == "Zoë <zoe@example.com>"
    assert message["Message-ID"] == f"<{job_id}@money-flow.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.tzinfo is not None
    parts = {part.get_content_type(): part.get_content() for part in message.iter_parts()}
    assert parts.keys() == {"text/plain", "text/html"}
    assert all("Hello Zoë," in text for text in parts.values())


def test_a_mail_that_is_sent_again_for_its_job_has_the_same_id(outlet: Outlet) -> None:
    mailer, job_id = outlet.make(mail_templates.render, SENDER), new_id()

    for id_ in (job_id, job_id, new_id()):
        mailer.send("welcome", to=_ZOE, values=_VALUES, job_id=id_)

    first, second, other = [caught.message["Message-ID"] for caught in outlet.sent()]
    assert first == second != other


def test_a_value_that_the_template_misses_fails_the_mail(outlet: Outlet) -> None:
    mailer = outlet.make(mail_templates.render, SENDER)

    with pytest.raises(jinja2.UndefinedError, match="name"):
        mailer.send("welcome", to=_ZOE, values={"app_url": "https://money.example"}, job_id=new_id())

    assert outlet.sent() == []


def test_a_mail_that_is_deferred_is_unavailable_and_the_next_is_sent(outlet: Outlet) -> None:
    outlet.defer()

    with pytest.raises(UnavailableError, match="busy, come back"):
        _send(outlet)
    _send(outlet)

    assert len(outlet.sent()) == 1


def test_a_mail_that_is_refused_is_a_permanent_error_and_the_next_is_sent(outlet: Outlet) -> None:
    outlet.refuse()

    with pytest.raises(PermanentError, match="we take no such mail"):
        _send(outlet)
    _send(outlet)

    assert len(outlet.sent()) == 1


def test_a_refused_recipient_is_a_bounce_and_the_next_mail_is_sent(outlet: Outlet) -> None:
    outlet.bounce()

    bounce = _send(outlet)

    assert bounce == Bounce(code=550, status="5.1.1", reason="5.1.1 <***@example.com>: no such mailbox")
    assert (_send(outlet), len(outlet.sent())) == (None, 1)


def test_every_mail_is_counted_by_its_outcome(outlet: Outlet) -> None:
    outcomes = ("sent", "bounced", "refused", "later")
    before = [_counted(outcome) for outcome in outcomes]
    outlet.bounce()
    _send(outlet)
    outlet.refuse()
    with pytest.raises(PermanentError):
        _send(outlet)
    outlet.defer()
    with pytest.raises(UnavailableError):
        _send(outlet)

    _send(outlet)

    after = [_counted(outcome) for outcome in outcomes]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1, 1]


def test_the_delivery_of_a_mail_takes_from_the_making_of_its_jobs_id_to_its_acceptance(outlet: Outlet) -> None:
    made = clock.now() - timedelta(minutes=10)
    before = _delivered()
    outlet.defer()
    with pytest.raises(UnavailableError):
        _send(outlet, job_id=first_id(made))

    _send(outlet, job_id=first_id(made))

    count, seconds = (now - then for now, then in zip(_delivered(), before, strict=True))
    assert count == 1, "a deferred mail is not delivered"
    assert 600 <= seconds < 1200


def test_many_threads_share_a_mailer(outlet: Outlet) -> None:
    mailer = outlet.make(mail_templates.render, SENDER)
    ids = [new_id() for _ in range(20)]

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda id_: mailer.send("welcome", to=_ZOE, values=_VALUES, job_id=id_), ids))

    sent = {str(caught.message["Message-ID"]) for caught in outlet.sent()}
    assert sent == {f"<{id_}@money-flow.example>" for id_ in ids}


def test_a_mailer_may_be_closed_twice(outlet: Outlet) -> None:
    mailer = outlet.make(mail_templates.render, SENDER)
    mailer.send("welcome", to=_ZOE, values=_VALUES, job_id=new_id())

    mailer.close()
    mailer.close()

    assert len(outlet.sent()) == 1


def _addresses(caught: Caught, name: str) -> tuple[Address, ...]:
    header = caught.headers[name]
    assert isinstance(header, AddressHeader)
    return header.addresses


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_name_arrives_as_it_is_in_to_and_in_from(name: str, outlet: Outlet) -> None:
    sender = Recipient(name=name, address="no-reply@money-flow.example")

    caught = _deliver(outlet, Recipient(name=name, address="zoe@example.com"), sender=sender)

    (to,), (from_,) = _addresses(caught, "To"), _addresses(caught, "From")
    assert (solid(to.display_name), to.addr_spec) == (solid(name), "zoe@example.com")
    assert (solid(from_.display_name), from_.addr_spec) == (solid(name), "no-reply@money-flow.example")
    assert caught.recipients == ["zoe@example.com"]


@pytest.mark.parametrize("address", GOOD_ADDRESSES)
def test_an_address_of_any_script_is_reached(address: str, outlet: Outlet) -> None:
    caught = _deliver(outlet, Recipient(name="Zoë", address=address))

    (to,) = _addresses(caught, "To")
    assert caught.recipients == [address]
    assert to.addr_spec == address


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("zoe@bücher.example", "zoe@xn--bcher-kva.example"),
        ("zoe@例子.example", "zoe@xn--fsqu00a.example"),
        ("ZOE@BÜCHER.Example", "ZOE@xn--bcher-kva.example"),
        ("zoe@xn--bcher-kva.example", "zoe@xn--bcher-kva.example"),
    ],
)
def test_a_domain_beyond_ascii_goes_out_in_ascii_form_to_every_server(given: str, sent: str, outlet: Outlet) -> None:
    caught = _deliver(outlet, Recipient(name="Zoë", address=given))

    (to,) = _addresses(caught, "To")
    assert (caught.recipients, to.addr_spec) == ([sent], sent)
    assert caught.raw.isascii()


def test_a_senders_domain_beyond_ascii_goes_out_in_ascii_form_too(outlet: Outlet) -> None:
    caught = _deliver(outlet, _ZOE, sender=Recipient(name="Money Flow", address="no-reply@größe.example"))

    (from_,) = _addresses(caught, "From")
    assert (caught.sender, from_.addr_spec) == ("no-reply@xn--gre-6ka8i.example",) * 2
    assert str(caught.message["Message-ID"]).endswith("@xn--gre-6ka8i.example>")


@pytest.mark.parametrize("subject", [*GOOD_NAMES[:-1], "§" * 500, "word " * 100])
def test_a_subject_arrives_as_it_is(subject: str, outlet: Outlet) -> None:
    caught = _deliver(outlet, _ZOE, subject=subject)

    assert solid(str(caught.headers["Subject"])) == solid(subject)
    assert all(len(line) <= 998 for line in caught.raw.split(b"\r\n")), "RFC 5322, 2.1.1"


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", ["name", "sender", "subject", "address"])
def test_no_value_makes_a_header_a_body_or_another_recipient(place: str, attack: str, outlet: Outlet) -> None:
    fields = {"name": "Zoë", "sender": "Money Flow", "subject": "A subject", "address": "zoe@example.com"}
    fields |= {place: attack}
    to = Recipient(name=fields["name"], address=fields["address"])

    with pytest.raises((PermanentError, ConfigurationError), match="must"):
        _deliver(outlet, to, subject=fields["subject"], sender=replace(SENDER, name=fields["sender"]))

    assert outlet.sent() == []


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_an_address_that_is_none_fails_for_good(address: str, outlet: Outlet) -> None:
    with pytest.raises(PermanentError):
        _deliver(outlet, Recipient(name="Zoë", address=address))

    assert outlet.sent() == []


def test_a_long_domain_does_not_break_the_message_id(outlet: Outlet) -> None:
    sender = Recipient(name="Money Flow", address=f"no-reply@{'long.' * 20}example.com")

    caught = _deliver(outlet, _ZOE, sender=sender)

    assert f"{'long.' * 20}example.com>".encode() in caught.raw
    assert b"=?utf-8" not in caught.raw.partition(b"Message-ID:")[2].partition(b"\r\nAuto-")[0]
