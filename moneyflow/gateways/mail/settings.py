"""The mail gateway's settings."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from moneyflow.gateways.mail.addresses import check_name, mail_address
from moneyflow.platform.settings import Section


class MailSettings(Section):
    """Mail: the SMTP server, its login, and the sender of every mail."""

    #: A mail server may ask for no login.
    optional_secrets: ClassVar[frozenset[str]] = frozenset({"mail_password"})

    mail_mailer: Literal["smtp"] = "smtp"
    mail_host: str = "localhost"
    mail_port: int = Field(default=2525, ge=1, le=65535)
    mail_username: str = ""
    mail_password: SecretStr = SecretStr("")
    mail_encryption: Literal["none", "starttls", "tls"] = "none"
    mail_from_address: Annotated[str, AfterValidator(lambda text: str(mail_address(text)))] = (
        "no-reply@money-flow.example"
    )
    mail_from_name: Annotated[str, AfterValidator(check_name)] = "Money Flow"


class MailCatcherSettings(Section):
    """The local mail catcher, which shows mails instead of delivering them; read by developers' tools alone."""

    mail_catcher_url: str = ""
