"""The settings of accounts."""

from collections.abc import Mapping

from pydantic import Field, SecretStr

from moneyflow.platform.settings import Section


class AccountSettings(Section):
    """Accounts: where frontends find the application, and the key from which tokens in mails are derived."""

    app_url: str = "https://localhost"
    secret_key: SecretStr = Field(default=..., min_length=32)

    @classmethod
    def production_problems(cls, values: Mapping[str, str]) -> list[str]:
        """Refuse links by plain HTTP: a reader on the way could use the tokens in them."""
        found = super().production_problems(values)
        if not values["app_url"].lower().startswith("https://"):
            found.append(
                "APP_URL begins with http, and the links in mails would carry their tokens in clear text; "
                "set its https address"
            )
        return found
