"""RabbitMQ as a tool of others uses it: kombu, with publisher confirms."""

from typing import Any

from kombu.connection import Connection

from moneyflow.settings import AllSettings


def kombu_connection(settings: AllSettings) -> Any:
    """Return a connection with the test's vhost, as an operator."""
    user, password = settings.rabbitmq_login("operator")
    return Connection(  # type: ignore[no-untyped-call]
        hostname=settings.rabbitmq_host, port=settings.rabbitmq_port, virtual_host=settings.rabbitmq_vhost,
        userid=user, password=password,
        transport_options={"confirm_publish": True},
    )  # fmt: skip
