"""The real servers, shared by all tests of a run, and for each test a database, a vhost and topics of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer

from moneyflow.platform import settings as settings_module
from moneyflow.platform.brokers.kafka_rights import grant_rights
from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings, load_all
from ops.migrate import declare_queues, declare_topics
from tests.support import effects, kafka_records, rabbitmq_admin
from tests.support.guardian import end_run
from tests.support.lanes import BROKEN_SERVERS, Lanes, lane, place
from tests.support.processes import Processes
from tests.support.servers import RUN, Fleet, RealServers, begin_run, fresh_environment
from tests.support.waiting import eventually

#: Tests mostly wait for processes: this many xdist workers for each core keep the cores busy.
_WORKERS_PER_CORE = 3
#: What a test asks for that stops, kills or cuts off servers.
_BREAKS_SERVERS = frozenset({"breakable", "make_scene"})

_RUN = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin a run, or be part of the one that started this process; no setting of the developer's shell counts."""
    for name in settings_module.known_names() & os.environ.keys():
        del os.environ[name]
    # Else each of a thousand processes would compile all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if RUN not in os.environ and not config.option.collectonly:
        config.stash[_RUN] = begin_run(keep=bool(os.environ.get("KEEP")))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End all that the run has started, whatever its tests have left."""
    run = config.stash.get(_RUN, None)
    if run:
        del os.environ[RUN]
        end_run(run)


def pytest_sessionstart() -> None:
    """Let SIGTERM end the run as Ctrl-C does: every fixture cleans up, and no process is left."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run all tests in many processes, and a few in this one, which has no other processes to wait for."""
    chosen = config.option.keyword or config.option.markexpr or config.option.collectonly
    if chosen or any("::" in name or name.endswith(".py") for name in config.args):
        return 0
    return _WORKERS_PER_CORE * (os.cpu_count() or 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Deal the tests by lanes."""
    return Lanes(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Order the lanes, once the tests are shuffled; skip what only the long form runs, before anything is started."""
    yield
    items.sort(key=lambda item: place(item.nodeid))
    is_long = config.getoption("--long") or config.getoption("--chaos-rounds") > 0
    for item in items:
        assert isinstance(item, pytest.Function)
        if not is_long and item.get_closest_marker("long_form"):
            item.add_marker(pytest.mark.skip("in the long form only, see `make acceptance`"))
        if _BREAKS_SERVERS.intersection(item.fixturenames) and lane(item.nodeid) != BROKEN_SERVERS:
            raise pytest.UsageError(f"{item.nodeid} breaks servers: name its module in tests/support/lanes.py")


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Return the sets of servers of this run; a server that does not start fails the tests that need it."""
    fleet = Fleet(Path(os.environ[RUN]))
    yield fleet
    fleet.close()


@pytest.fixture
def servers(fleet: Fleet, request: pytest.FixtureRequest) -> RealServers:
    """Return the servers that all tests share, or to a test that breaks servers a set of its own."""
    return fleet.own() if _BREAKS_SERVERS.intersection(request.fixturenames) else fleet.shared


@pytest.fixture
def environment(servers: RealServers) -> Iterator[dict[str, str]]:
    """Return the environment of a process that sees only this test's database, vhost, topics and channel of Redis."""
    with fresh_environment(servers) as environment:
        yield environment


@pytest.fixture
def settings(environment: dict[str, str]) -> AllSettings:
    """Return the settings of this test."""
    return load_all(environment)


@pytest.fixture
def database(settings: AllSettings, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Return this test's database, as the workers' role; it wakes workers and the relay as the product does.

    A module about what another process does sets `ROLE`, to `app` for the API or `operator` for the commands.
    """
    role = getattr(request.module, "ROLE", "worker")
    database = Database(settings.conninfo(role, application_name="test"), size=8, notify=Notifier(settings))
    database.open()
    yield database
    database.close()


@pytest.fixture
def vhost(servers: RealServers, settings: AllSettings) -> Iterator[str]:
    """Create this test's vhost of RabbitMQ, which is empty."""
    name = settings.rabbitmq_vhost
    assert servers.rabbitmq.identity(), "it runs"
    rabbitmq_admin.create_vhost(servers, name)
    yield name
    rabbitmq_admin.delete_vhost(servers, name)


@pytest.fixture
def queues(settings: AllSettings, vhost: str) -> AllSettings:
    """Declare RabbitMQ's topology in this test's vhost."""
    assert vhost == settings.rabbitmq_vhost
    declare_queues(settings)
    return settings


@pytest.fixture
def topics(servers: RealServers, settings: AllSettings) -> AllSettings:
    """Create Kafka's topics under this test's prefix."""
    assert servers.kafka.identity(), "it runs"
    created = set(declare_topics(settings))
    # The sink of tests/support/tally.py reads as the audit log does.
    users = {"tally": settings.kafka_user("audit")}
    relay, operator = settings.kafka_user("relay"), settings.kafka_user("operator")
    asyncio.run(grant_rights(settings, relay=relay, operator=operator, sinks=users))
    # The broker shows a topic a moment after the controller has made it.
    eventually(lambda: created <= kafka_records.topics(settings), what="the topics are there")
    return settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let tests be repeated and made longer; see `make chaos` and `make acceptance`."""
    parser.addoption("--long", action="store_true", help="tests that run in the long form only as well")
    parser.addoption("--chaos-seed", type=int, default=1, help="the seed of the first round of random faults")
    parser.addoption("--chaos-rounds", type=int, default=0, help="rounds of the long form, each with the next seed")
    parser.addoption("--chaos-results", default="", help="the folder to write the report of all rounds to")
    parser.addoption("--api-cases", type=int, default=500, help="requests of tests/e2e/test_schemathesis.py, at least")
    parser.addoption("--api-results", default="", help="the folder to write their report to")
    parser.addoption("--address-samples", type=int, default=0, help="requests of each case of test_address_timing.py")
    parser.addoption("--events", type=int, default=1000, help="events of tests/chaos/test_event_storms.py, at least")
    parser.addoption(
        "--consumer-restarts", type=int, default=1, help="rolling restarts of tests/e2e/test_consumer_restarts.py"
    )
    parser.addoption(
        "--audit-rows", type=int, default=3000, help="rows of tests/integration/test_audit_verification.py"
    )
    parser.addoption("--audit-results", default="", help="the folder to write its figures to")
    parser.addoption("--backlog", type=int, default=20_000, help="records of tests/e2e/test_consumer_memory.py")
    parser.addoption("--thousands", type=int, default=2, help="thousands of jobs that one test runs or groups")
    parser.addoption("--api-kills", type=int, default=2, help="how often tests/e2e/test_api_crashes.py kills the API")
    parser.addoption(
        "--payments", type=int, default=60, help="payments through the sandbox of tests/e2e/test_payments.py"
    )
    parser.addoption("--stripe-payments", type=int, default=12, help="payments of its proxy to stripe-mock")
    parser.addoption("--payments-results", default="", help="the folder to write its figures to")
    parser.addoption("--neighbours", type=int, default=260, help="jobs of tests/e2e/test_bad_neighbours.py")
    parser.addoption(
        "--replacements", type=int, default=1, help="how often tests/e2e/test_api_socket.py replaces the API"
    )
    parser.addoption(
        "--all-types", action="store_true", help="tests/e2e/test_new_job.py runs mypy on the whole checkout"
    )
    parser.addoption("--one-by-one", action="store_true", help="tests/e2e/test_stack_repair.py kills one at a time")
    parser.addoption("--slow-rounds", type=int, default=0, help="timed rounds of tests/e2e/test_front_door.py")
    parser.addoption(
        "--transactions", type=int, default=20_000, help="transactions of a user in test_transaction_plans.py"
    )
    parser.addoption(
        "--histories", type=int, default=12, help="random histories of test_analytics_history.py, each a database"
    )
    parser.addoption("--sums-of", type=int, default=0, help="transactions of a user in test_analytics_speed.py")
    parser.addoption("--sums-results", default="", help="the folder to write the milliseconds of its pages to")
    parser.addoption("--money-results", default="", help="the folder to write the milliseconds of its lists to")
    parser.addoption(
        "--import-rows", type=int, default=4000, help="rows of the statements of tests/e2e/test_statement_import.py"
    )
    parser.addoption(
        "--spreadsheets", type=int, default=100, help="CSV files that tests/unit/test_spreadsheets.py writes"
    )
    parser.addoption("--import-results", default="", help="the folder to write its figures to")
    parser.addoption("--chaos-without", default="nothing", help="a safeguard to take out: see it turn red")


@pytest.fixture
def processes(environment: dict[str, str], tmp_path: Path) -> Iterator[Processes]:
    """Start processes that are stopped with the test."""
    with Processes(environment, tmp_path) as started:
        yield started


@pytest.fixture
def platform(queues: AllSettings, topics: AllSettings) -> AllSettings:
    """Return the settings of a migrated test: queues, topics and the table of effects are there."""
    assert queues is topics
    effects.create_table(queues)
    return queues


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show next to a failure what each of its processes said last."""
    report = yield
    started = getattr(item, "funcargs", {}).get("processes")
    if report.when == "call" and report.failed and isinstance(started, Processes):
        for process in started.all():
            report.sections.append((" ".join(process.command), process.log()[-3000:]))
    return report
