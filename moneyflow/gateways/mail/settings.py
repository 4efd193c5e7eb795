"""The mail gateway's settings."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from moneyflow.gateways.mail.addresses import check_name, normalized_address
from moneyflow.platform.settings import Host, Section, host_port


class MailSettings(Section):
    """Mail: the SMTP server, its login, and the sender of every mail."""

    #: A mail server may ask for no login.
    optional_secrets: ClassVar[frozenset[str]] = frozenset({"mail_password"})

    mail_mailer: Literal["smtp"] = "smtp"
    mail_host: Host = "localhost"
    mail_port: int = Field(default=2525, ge=1, le=65535)
    mail_username: str = ""
    mail_password: SecretStr = SecretStr("")
    mail_encryption: Literal["none", "starttls", "tls"] = "none"
    mail_from_address: Annotated[str, AfterValidator(normalized_address)] = "no-reply@money-flow.example"
    mail_from_name: Annotated[str, AfterValidator(check_name)] = "Money Flow"

    @classmethod
    def production_problems(cls, values: Mapping[str, str]) -> list[str]:
        """Refuse a login without TLS."""
        found = super().production_problems(values)
        if values["mail_username"] and values["mail_encryption"] == "none":
            found.append(
                "MAIL_ENCRYPTION is none, and the login of MAIL_USERNAME would be sent in clear text; "
                "set starttls (usually port 587) or tls (usually port 465)"
            )
        return found

    @property
    def mail_address(self) -> str:
        """The mail server's address as host:port."""
        return host_port(self.mail_host, self.mail_port)


class MailCatcherSettings(Section):
    """The local mail catcher, which shows mails instead of delivering them; read by developers' tools alone."""

    mail_catcher_url: str = ""
