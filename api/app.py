"""The HTTP application: its routes, and the resources that serve them."""

from dataclasses import dataclass

import falcon

from api.access import Access
from api.problems import install_problems
from api.resources.batches import Batch
from api.resources.files import File
from api.resources.health import Alive, Metrics, Ready
from api.resources.jobs import Job
from api.resources.users import Activation, Users
from moneyflow.accounts.settings import AccountSettings
from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.database import Database
from moneyflow.platform.http.idempotency import IdempotencyKeys
from moneyflow.platform.telemetry.origin import process_name
from moneyflow.platform.telemetry.start import begin
from moneyflow.settings import ApiSettings


@dataclass(frozen=True, kw_only=True)
class Services:
    """The dependencies of the resources; wired by `wsgi`, or by a test."""

    accounts: AccountSettings
    database: Database
    multiprocess_directory: str | None = None


def create_app(services: Services) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the WSGI application."""
    app = falcon.App(middleware=[Access()])
    install_problems(app)
    database = services.database
    keys = IdempotencyKeys(secret_key=services.accounts.secret_key.get_secret_value())
    app.add_route("/v1/users", Users(database, keys))
    app.add_route("/v1/users/activation", Activation(database))
    app.add_route("/v1/jobs/{job_id}", Job(database))
    app.add_route("/v1/batches/{batch_id}", Batch(database))
    app.add_route("/v1/files/{file_id}", File(database))
    app.add_route("/healthz", Alive())
    app.add_route("/readyz", Ready([database.check]))
    app.add_route("/metrics", Metrics(services.multiprocess_directory))
    return app


def wsgi(multiprocess_directory: str | None = None) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the application for a WSGI server, with the settings of the environment."""
    settings = begin("api", ApiSettings)
    database = Database(
        settings.conninfo("app", application_name=f"api {process_name()}"),
        size=settings.api_threads,
        timeout_seconds=5,
        notify=Notifier(settings),
    )
    database.open()
    services = Services(
        accounts=settings.only(AccountSettings), database=database, multiprocess_directory=multiprocess_directory
    )
    return create_app(services)
