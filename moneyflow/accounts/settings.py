"""The settings of accounts."""

from pydantic import Field, SecretStr

from moneyflow.platform.settings import Section


class AccountSettings(Section):
    """Accounts: where frontends find the application, and the key from which tokens in mails are derived."""

    app_url: str = "https://localhost"
    secret_key: SecretStr = Field(default=..., min_length=32)
