"""Topics of the application's events; each is ordered per key."""

from moneyflow.platform.events.topics import topic

USER_EVENTS = topic("user.events")
AUTH_EVENTS = topic("auth.events")
TRANSACTION_EVENTS = topic("transaction.events")
CATEGORY_EVENTS = topic("category.events")
