"""The Kafka topics, as `migrate` creates them."""

USER_EVENTS = "user.events"
AUTH_EVENTS = "auth.events"
TRANSACTION_EVENTS = "transaction.events"
CATEGORY_EVENTS = "category.events"
SYSTEM_EVENTS = "system.events"
DEAD_LETTER = "events.dead_letter"

#: The topics that carry events; each sink reads all of them or some.
EVENT_TOPICS = (USER_EVENTS, AUTH_EVENTS, TRANSACTION_EVENTS, CATEGORY_EVENTS, SYSTEM_EVENTS)
ALL_TOPICS = (*EVENT_TOPICS, DEAD_LETTER)
