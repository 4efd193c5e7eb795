"""RabbitMQ as a tool of others uses it: kombu, with publisher confirms."""

from typing import Any

from kombu.connection import Connection

from moneyflow.settings import AllSettings


def kombu_connection(settings: AllSettings) -> Any:
    """Return a connection with the test's vhost, as the application's user."""
    return Connection(  # type: ignore[no-untyped-call]
        hostname=settings.rabbitmq_host, port=settings.rabbitmq_port, virtual_host=settings.rabbitmq_vhost,
        userid=settings.rabbitmq_user, password=settings.rabbitmq_password.get_secret_value(),
        transport_options={"confirm_publish": True},
    )  # fmt: skip
