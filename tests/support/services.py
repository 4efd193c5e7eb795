"""The API's dependencies, as `api.app.wsgi` wires them, for the application in the test's own process."""

from typing import Any

from api.app import Services
from api.limits import ClientLimits
from moneyflow.accounts.passwords import Passwords
from moneyflow.accounts.sessions import Sessions
from moneyflow.platform.database import Database
from moneyflow.platform.http.rate_limits import RateLimits
from moneyflow.platform.jobs.waits import JobWaits
from moneyflow.settings import AllSettings
from workers.testing import temporary_storage


def services(settings: AllSettings, database: Database, **replaced: Any) -> Services:
    """Return the services, some of them replaced."""
    key = settings.secret_key.get_secret_value()
    limits = ClientLimits(
        RateLimits(settings, factor=settings.api_limits_factor),
        secret_key=key,
        trusted_proxies=settings.trusted_proxies,
    )
    waits = JobWaits(database, places=settings.api_threads // 4)
    wired: dict[str, Any] = {
        "sessions": Sessions(settings),
        "passwords": Passwords(),
        "limits": limits,
        "waits": waits,
        "storage": temporary_storage(),
    }
    wired |= {"webhook_secrets": settings.webhook_secrets, **replaced}
    return Services(accounts=settings, database=database, is_dev=settings.build_env == "dev", **wired)
