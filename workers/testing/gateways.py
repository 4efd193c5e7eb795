"""Gateways for tests: they reach no outside service."""

import atexit
import shutil
import tempfile
from functools import cache, partial
from pathlib import Path

import mail_templates
from moneyflow.accounts.settings import AccountSettings
from moneyflow.audit.settings import AuditCheckpointSettings
from moneyflow.gateways.mail import Bounce
from moneyflow.gateways.mail.mailbox import Mailbox
from moneyflow.gateways.payments.fake import FakeProvider
from moneyflow.gateways.storage.file import FileStorage
from moneyflow.platform.settings import RetentionSettings
from moneyflow.settings import load
from workers.handlers import Gateways

_KEY = "a key for tests, of more than 32 characters"


def new_mailbox(*, error: Exception | None = None, bounce: Bounce | None = None) -> Mailbox:
    """Return a mailer that keeps every mail, rendered from `mail_templates/`, or raises the error, or bounces."""
    return Mailbox(render=mail_templates.render, error=error, bounce=bounce)


@cache
def temporary_storage() -> FileStorage:
    """Return the storage of this process's tests: a folder that is deleted when the process exits."""
    folder = tempfile.mkdtemp(prefix="money-flow-files-")
    atexit.register(partial(shutil.rmtree, folder, ignore_errors=True))
    return FileStorage(Path(folder))


def fake_gateways(*replaced: object) -> Gateways:
    """Return the given gateways, and for every other type one that reaches no outside service, or the defaults."""
    sections = [load(AccountSettings, {"SECRET_KEY": _KEY}), AuditCheckpointSettings(), RetentionSettings()]
    return Gateways([*replaced, new_mailbox(), FakeProvider(), temporary_storage(), *sections])
