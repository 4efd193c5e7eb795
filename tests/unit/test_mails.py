"""Declarations of mails: one per name, and one place for its priority and link."""

import pytest

import moneyflow.jobs  # noqa: F401 - importing it declares the mails
from moneyflow import mails
from moneyflow.mails import Link, Mail, declare, mail_named
from moneyflow.platform.errors import UnknownVersionError


def test_the_declared_mails_are_found_by_name() -> None:
    assert {"activation", "already_registered", "welcome"} <= mails.registry.keys()
    assert mail_named("activation").link == Link(path="/activate", purpose="activation", hours=48)


def test_a_second_declaration_under_one_name_is_refused_unless_it_is_the_same() -> None:
    assert declare(Mail("welcome")) == mail_named("welcome")

    with pytest.raises(TypeError, match="mail 'welcome' is declared already"):
        declare(Mail("welcome", priority=9))


def test_a_priority_that_no_queue_has_is_refused() -> None:
    with pytest.raises(TypeError, match="priority is 0 to 10, not 11"):
        declare(Mail("too_urgent", priority=11))

    assert "too_urgent" not in mails.registry


def test_a_mail_of_another_version_parks_its_job() -> None:
    with pytest.raises(UnknownVersionError, match="mail 'of_tomorrow' is not declared in this version"):
        mail_named("of_tomorrow")
