"""The HTTP application: its routes, and the resources that serve them."""

import atexit
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any, cast

import falcon

from api.access import Access
from api.compression import Compression
from api.descriptions import description_of
from api.downloads import Downloads
from api.guards import Guards, audience_of
from api.headers import Cors, default_headers
from api.limits import ClientLimits
from api.openapi import Operation
from api.problems import install_problems
from api.resources.analytics import Cashflow, Summary
from api.resources.avatars import OwnAvatar
from api.resources.batches import Batch
from api.resources.bulk import TransactionsBulk
from api.resources.categories import Categories, OneCategory
from api.resources.docs import Docs, DocsFile, Problems
from api.resources.documents import AsyncApi, OpenApi
from api.resources.exports import Exports, OwnData, OwnExport
from api.resources.files import File, PublicFile
from api.resources.health import Alive, Metrics, Ready
from api.resources.imports import Imports, OneImport
from api.resources.invitations import UsersBatch
from api.resources.jobs import Job
from api.resources.me import Me, OwnPassword
from api.resources.own_email import OwnEmail, OwnEmailConfirmation
from api.resources.password_resets import PasswordResetConfirmation, PasswordResets
from api.resources.payments import OwnPayment, PaymentRefund, Payments
from api.resources.schemas import Schema, Schemas
from api.resources.sessions import OwnSession, OwnSessions
from api.resources.transactions import OneTransaction, Transactions
from api.resources.users import Activation, ActivationResend, Users
from api.resources.webhooks import StripeWebhook
from api.session_cookie import SessionCookie
from moneyflow.accounts.email_changes import EmailChanges
from moneyflow.accounts.password_changes import PasswordChanges
from moneyflow.accounts.passwords import Passwords
from moneyflow.accounts.sessions import Sessions
from moneyflow.accounts.settings import AccountSettings
from moneyflow.accounts.sign_in import SignIn
from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.gateways.storage.storages import check_at_start, storage_of
from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.database import Database
from moneyflow.platform.events.reporter import Reporter
from moneyflow.platform.http.idempotency import IdempotencyKeys
from moneyflow.platform.http.rate_limits import RateLimits
from moneyflow.platform.jobs.batch_statuses import BatchStatuses
from moneyflow.platform.jobs.waits import JobWaits
from moneyflow.platform.telemetry.origin import process_name
from moneyflow.platform.telemetry.start import begin
from moneyflow.settings import ApiSettings

#: Adds a route: its path and its resource.
Add = Callable[[str, object], None]

#: HEAD is that of GET.
_METHODS = tuple(method for method in falcon.HTTP_METHODS if method != "HEAD")


@dataclass(frozen=True, kw_only=True)
class Services:
    """The dependencies of the resources; wired by `wsgi`, or by a test."""

    accounts: AccountSettings
    database: Database
    sessions: Sessions
    passwords: Passwords
    limits: ClientLimits
    waits: JobWaits
    storage: Storage
    multiprocess_directory: str | None = None
    #: Called with each error that no code expects; returns at once.
    report_error: Callable[[BaseException], None] = lambda _: None
    #: The secrets that sign the webhooks of the payment provider; none: every webhook is refused.
    webhook_secrets: Sequence[str] = ()
    #: The exact origins whose scripts may call the API; none: no CORS.
    cors_origins: Sequence[str] = ()
    #: Whether a frontend on http://localhost gets a plain cookie (`BUILD_ENV=dev`).
    is_dev: bool = False
    #: The networks of the proxies that may say who the client is, and how its request came.
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()


def create_app(services: Services) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the WSGI application."""
    is_https = services.accounts.app_url.startswith("https:")
    cookie = SessionCookie(is_dev=services.is_dev, is_https=is_https, trusted_proxies=services.trusted_proxies)
    # Answers pass through them from the last to the first.
    cors = [Cors(services.cors_origins)] if services.cors_origins else []
    guards = Guards(services.sessions, cookie=cookie)
    middleware: list[Any] = [Access(default_headers(is_https=is_https)), *cors, Compression(), guards]
    app = falcon.App(middleware=middleware)
    install_problems(app, services.report_error)
    operations: list[Operation] = []
    add = partial(_add_route, app, operations)
    keys = IdempotencyKeys(secret_key=services.accounts.secret_key.get_secret_value())
    _add_accounts(add, services, keys, cookie)
    _add_money(add, services, keys)
    _add_statements(add, services, keys)
    _add_jobs_and_files(add, services)
    _add_operation(add, services)
    _add_documents(add, operations)
    return app


def _add_accounts(add: Add, services: Services, keys: IdempotencyKeys, cookie: SessionCookie) -> None:
    database, sessions, passwords = services.database, services.sessions, services.passwords
    limits, storage = services.limits, services.storage
    secret_key = services.accounts.secret_key.get_secret_value()
    sign_in = SignIn(database=database, sessions=sessions, passwords=passwords, secret_key=secret_key)
    changes = PasswordChanges(database=database, sessions=sessions, passwords=passwords)
    emails = EmailChanges(database=database, sessions=sessions, passwords=passwords)
    add("/v1/users", Users(database, keys, passwords, limits))
    add("/v1/users/batch", UsersBatch(database, keys))
    add("/v1/users/activation", Activation(database, passwords, limits))
    add("/v1/users/activation/resend", ActivationResend(database, limits))
    add("/v1/users/me", Me(database, sessions, cookie))
    add("/v1/users/me/avatar", OwnAvatar(database, storage, limits))
    add("/v1/users/me/data", OwnData(database, keys))
    add("/v1/users/me/password", OwnPassword(changes, cookie, limits))
    add("/v1/users/me/email", OwnEmail(emails, limits))
    add("/v1/users/me/email/confirm", OwnEmailConfirmation(emails, limits))
    add("/v1/password-resets", PasswordResets(database, changes, limits))
    add("/v1/password-resets/confirm", PasswordResetConfirmation(changes, limits))
    add("/v1/sessions", OwnSessions(sign_in, sessions, cookie, limits))
    add("/v1/sessions/{session_id}", OwnSession(sign_in, cookie))


def _add_money(add: Add, services: Services, keys: IdempotencyKeys) -> None:
    database = services.database
    add("/v1/categories", Categories(database, keys))
    add("/v1/categories/{category_id}", OneCategory(database))
    add("/v1/transactions", Transactions(database, keys))
    add("/v1/transactions/bulk", TransactionsBulk(database, keys))
    add("/v1/transactions/{transaction_id}", OneTransaction(database))
    add("/v1/payments", Payments(database, keys))
    add("/v1/payments/{payment_id}", OwnPayment(database))
    add("/v1/payments/{payment_id}/refund", PaymentRefund(database, keys))
    add("/v1/analytics/summary", Summary(database))
    add("/v1/analytics/cashflow", Cashflow(database))
    add("/v1/exports", Exports(database, keys))
    add("/v1/exports/{export_id}", OwnExport(database))
    add("/v1/webhooks/stripe", StripeWebhook(database, services.webhook_secrets))


def _add_statements(add: Add, services: Services, keys: IdempotencyKeys) -> None:
    add("/v1/imports", Imports(services.database, keys, services.storage, services.limits))
    add("/v1/imports/{import_id}", OneImport(services.database))


def _add_jobs_and_files(add: Add, services: Services) -> None:
    statuses = BatchStatuses()
    downloads = Downloads(services.storage, trusted_proxies=services.trusted_proxies)
    add("/v1/jobs/{job_id}", Job(services.database, services.waits, statuses))
    add("/v1/batches/{batch_id}", Batch(services.database, statuses))
    add("/v1/files/{file_id}", File(services.database, downloads))
    add("/storage/{folder}/{name}", PublicFile(downloads))


def _add_operation(add: Add, services: Services) -> None:
    add("/healthz", Alive())
    add("/readyz", Ready([services.database.check]))
    add("/metrics", Metrics(services.multiprocess_directory))


def _add_documents(add: Add, operations: Sequence[Operation]) -> None:
    add("/openapi.json", OpenApi(operations))
    add("/asyncapi.json", AsyncApi())
    add("/schemas/", Schemas())
    add("/schemas/{type}/{version}", Schema())
    add("/docs", Docs())
    add("/docs/problems", Problems())
    add("/docs/{name}", DocsFile())


def wsgi(multiprocess_directory: str | None = None) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the application for a WSGI server, with the settings of the environment."""
    settings = begin("api", ApiSettings)
    database = Database(
        settings.conninfo("app", application_name=f"api {process_name()}"),
        size=settings.api_threads,
        timeout_seconds=5,
        notify=Notifier(settings, gather_events=True),
    )
    database.open()
    reporter = Reporter(database)
    reporter.start()
    atexit.register(reporter.stop)
    services = replace(wire(settings, database, multiprocess_directory), report_error=reporter.error)
    check_at_start(services.storage)
    return create_app(services)


def wire(settings: ApiSettings, database: Database, multiprocess_directory: str | None = None) -> Services:
    """Return the services; none of them connects to its server before the first request."""
    return Services(
        accounts=settings.only(AccountSettings),
        database=database,
        sessions=Sessions(settings),
        passwords=Passwords.for_process(threads=settings.api_threads, processes=settings.api_processes),
        limits=ClientLimits(
            RateLimits(settings, factor=settings.api_limits_factor),
            secret_key=settings.secret_key.get_secret_value(),
            trusted_proxies=settings.trusted_proxies,
        ),
        waits=JobWaits(database, places=settings.api_threads // 4),
        storage=storage_of(settings.only(StorageSettings)),
        multiprocess_directory=multiprocess_directory,
        webhook_secrets=settings.webhook_secrets,
        cors_origins=settings.cors_origins,
        is_dev=settings.build_env == "dev",
        trusted_proxies=settings.trusted_proxies,
    )


def _add_route(
    app: falcon.App[falcon.Request, falcon.Response], operations: list[Operation], path: str, resource: object
) -> None:
    """Add a route whose every responder says whom it serves, what it takes and what it answers.

    HEAD is served where GET is, without the body.

    Raises:
        TypeError: a responder does not say.
    """
    if hasattr(resource, "on_get"):
        cast("Any", resource).on_head = resource.on_get
    for method in _METHODS:
        if not hasattr(resource, f"on_{method.lower()}"):
            continue
        audience, description = audience_of(resource, method), description_of(resource, method)
        if audience is None:
            raise TypeError(f"{method} {path}: mark its responder @public, @signed_in or @administrators")
        if description is None:
            raise TypeError(f"{method} {path}: describe its responder with @describes(…), for the OpenAPI document")
        if method != "HEAD":  # Its GET describes it.
            operations.append(
                Operation(method=method, path=path, resource=resource, audience=audience, description=description)
            )
    app.add_route(path, resource)
