"""Health port of the API: `/healthz`, `/readyz` and `/metrics`, which answer when requests do not.

Each process of the API listens on the port, and the kernel gives a connection to one of them: it answers for itself
whether it makes progress, and for all of them with the metrics. A process that dies takes no other's answers with it,
and the processes of a successor listen before those of its predecessor end.
"""

from moneyflow.platform.database import Database
from moneyflow.platform.events.reporter import Health, Reporter
from moneyflow.platform.telemetry.health import Check, serve_health
from moneyflow.platform.telemetry.health_server import HealthServer
from moneyflow.platform.telemetry.origin import process_name
from moneyflow.settings import ApiSettings


def serve(settings: ApiSettings, *, alive: Check, multiprocess_directory: str) -> HealthServer:
    """Answer until it is closed, with a connection of its own to Postgres: requests may hold all others.

    A thread sends its `system.health_check` events by the same checks, until the process ends.

    Redis is not checked, because most requests succeed without it.
    """
    database = Database(
        settings.conninfo("app", application_name=f"api health {process_name()}"), size=1, timeout_seconds=2
    )
    database.open()
    health = Health(alive=[alive], ready=[database.check], every_seconds=settings.health_check_seconds)
    reporter = Reporter(database)
    reporter.watch(health)
    reporter.start()
    return serve_health(
        host=settings.bind_host,
        port=settings.api_metrics_port,
        alive=health.alive,
        ready=health.ready,
        multiprocess_directory=multiprocess_directory,
        shares_port=True,
    )
