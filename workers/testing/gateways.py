"""Gateways for tests: they reach no outside service."""

import mail_templates
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Bounce
from moneyflow.gateways.mail.mailbox import Mailbox
from moneyflow.gateways.payments.fake import FakeProvider
from moneyflow.platform.settings import RetentionSettings
from moneyflow.settings import load
from workers.handlers import Gateways

_KEY = "a key for tests, of more than 32 characters"


def new_mailbox(*, error: Exception | None = None, bounce: Bounce | None = None) -> Mailbox:
    """Return a mailer that keeps every mail, rendered from `mail_templates/`, or raises the error, or bounces."""
    return Mailbox(render=mail_templates.render, error=error, bounce=bounce)


def fake_gateways(*replaced: object) -> Gateways:
    """Return the given gateways, and for every other type a mailbox, a payment provider, or the settings' defaults."""
    accounts = load(AccountSettings, {"SECRET_KEY": _KEY})
    return Gateways([*replaced, new_mailbox(), FakeProvider(), accounts, RetentionSettings()])
