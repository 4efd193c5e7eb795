"""The CRM gateway's settings."""

import base64
import binascii
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import SecretStr, field_validator, model_validator

from moneyflow.platform.patterns import Pattern
from moneyflow.platform.settings import Section

_HUBSPOT = "https://api.hubapi.com"
#: No login, query or fragment: the token is a setting of its own, and the adapters add their paths.
_URL = Pattern(r"https?://[^/?#@\s]+(/[^?#@\s]*)?", longest=1_000)
#: Of Standard Webhooks: the beginning of a secret, and the bytes that it has at least and at most.
_PREFIX = "whsec_"
_FEWEST_BYTES, _MOST_BYTES = 24, 64
#: While a secret is rotated.
_MOST_SECRETS = 2


class CrmSettings(Section):
    """The CRM: its adapter, its address, and the token or secret that it knows us by. Without an address: no CRM."""

    #: The CRM gives them.
    optional_secrets: ClassVar[frozenset[str]] = frozenset({"crm_token", "crm_webhook_secret"})

    crm_adapter: Literal["webhook", "hubspot"] = "hubspot"
    crm_url: str = ""
    crm_token: SecretStr = SecretStr("")
    #: Two, separated by a comma, while it is rotated.
    crm_webhook_secret: SecretStr = SecretStr("")

    @field_validator("crm_url")
    @classmethod
    def _is_address(cls, given: str) -> str:
        if given and not _URL.fullmatch(given):
            raise ValueError("must be an address such as https://crm.example.com/hooks, without a login or a query")
        return given.rstrip("/")

    @field_validator("crm_webhook_secret")
    @classmethod
    def _are_secrets(cls, given: SecretStr) -> SecretStr:
        secrets = _split(given)
        if len(secrets) > _MOST_SECRETS:
            raise ValueError(f"has {len(secrets)} secrets; give one, or two while it is rotated")
        if not all(map(_is_secret, secrets)):
            raise ValueError(
                f"must be {_PREFIX} and {_FEWEST_BYTES} to {_MOST_BYTES} bytes in base64, as Standard Webhooks has it: "
                f'echo "{_PREFIX}$(openssl rand -base64 32)"; two are separated by a comma'
            )
        return given

    @model_validator(mode="after")
    def _has_what_the_adapter_needs(self) -> Self:
        """Refuse an adapter without its address, token or secret."""
        token, secrets = self.crm_token.get_secret_value(), self.webhook_signing_secrets
        if self.crm_adapter == "hubspot" and self.crm_url and not token:
            raise ValueError(
                "CRM_TOKEN is not set, and CRM_ADAPTER is hubspot; take the access token of a private app in HubSpot "
                "that may read and write contacts, or leave CRM_URL empty for no CRM"
            )
        if self.crm_adapter == "webhook" and self.crm_url and not secrets:
            raise ValueError(
                "CRM_WEBHOOK_SECRET is not set, and CRM_ADAPTER is webhook; set the secret that the receiver verifies "
                "signatures with, or leave CRM_URL empty for no CRM"
            )
        if self.crm_adapter == "webhook" and secrets and not self.crm_url and not token:
            raise ValueError("CRM_URL is not set, and CRM_ADAPTER is webhook; set the address of the receiver")
        return self

    @classmethod
    def production_problems(cls, values: Mapping[str, str]) -> list[str]:
        """Refuse to send people's data in clear text."""
        found = super().production_problems(values)
        if values["crm_url"].startswith("http://"):
            found.append(
                "CRM_URL must begin with https://, or people's data is sent in clear text; correct it, or leave it "
                "empty for no CRM"
            )
        return found

    @property
    def has_crm(self) -> bool:
        """Whether people are sent anywhere."""
        return bool(self.crm_url or (self.crm_adapter == "hubspot" and self.crm_token.get_secret_value()))

    @property
    def crm_address(self) -> str:
        """The CRM's address; HubSpot's own where none is set."""
        return self.crm_url or (_HUBSPOT if self.crm_adapter == "hubspot" else "")

    @property
    def webhook_signing_secrets(self) -> tuple[str, ...]:
        """The secrets that a webhook is signed with, each of them."""
        return _split(self.crm_webhook_secret)


def _split(given: SecretStr) -> tuple[str, ...]:
    return tuple(part.strip() for part in given.get_secret_value().split(",") if part.strip())


def _is_secret(text: str) -> bool:
    try:
        size = len(base64.b64decode(text.removeprefix(_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        return False
    return text.startswith(_PREFIX) and _FEWEST_BYTES <= size <= _MOST_BYTES
