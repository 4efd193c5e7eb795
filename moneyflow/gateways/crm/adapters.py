"""The CRM that the settings name."""

from moneyflow.gateways.crm import Crm
from moneyflow.gateways.crm.hubspot import HubSpot
from moneyflow.gateways.crm.settings import CrmSettings
from moneyflow.gateways.crm.webhook import WebhookCrm


def crm_of(settings: CrmSettings) -> Crm | None:
    """Return the CRM; None when no one is sent anywhere."""
    if not settings.has_crm:
        return None
    if settings.crm_adapter == "hubspot":
        return HubSpot(url=settings.crm_address, token=settings.crm_token.get_secret_value())
    return WebhookCrm(url=settings.crm_address, secrets=settings.webhook_signing_secrets)
