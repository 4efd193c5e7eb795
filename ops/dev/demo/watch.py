"""Watch: reads the effects of the play: jobs in Postgres, mails in the catcher, records in Kafka, audit rows."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pika
from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg.rows import DictRow

from moneyflow.audit.verify import Chain, verify
from moneyflow.events import event_topics
from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.platform.brokers.rabbitmq import FAILED_QUEUE, connection_parameters
from moneyflow.platform.database import Database
from moneyflow.platform.events import envelope
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import load_queries
from moneyflow.settings import AllSettings

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)
_PAGE = 500
#: Kinds of the jobs that the report counts; other kinds that a sign-up enqueues are shown only.
KINDS = frozenset(
    {
        "send_email", "send_welcome", "process_payment", "send_receipt", "import_statement", "export_statement",
        "send_export",
    }
)  # fmt: skip

#: Called with the text of a mail, the id of its job, and the address that it went to.
OnMail = Callable[[str, str, str], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class SeenBooks:
    """The money of all people of the play."""

    payments: dict[str, int]
    #: Payments that the provider charged otherwise than is recorded.
    differing: int
    charged: dict[str, Decimal]
    charged_again: int
    income: dict[str, Decimal]
    expense: dict[str, Decimal]


@dataclass
class Seen:
    """The state at the last look."""

    jobs: Counter[tuple[str, str]] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)  #: By Message-ID without its domain: the job's id.
    records: dict[str, Counter[str]] = field(default_factory=dict)  #: By topic, then by event id.
    types: dict[str, str] = field(default_factory=dict)  #: The type of each event id.
    audited: dict[str, DictRow] = field(default_factory=dict)
    users: int = 0
    activated: int = 0


class Watch:
    """Reads the servers; `seen` is the state at the last look."""

    def __init__(self, settings: AllSettings, *, tag: str, prefix: str, on_mail: OnMail) -> None:
        self.seen = Seen()
        self._settings = settings
        self._parameters = {"prefix": f"{prefix}%", "tagged": f"%+{tag}@%"}
        self._prefix = prefix
        self._tag = f"+{tag}@"
        self._on_mail = on_mail
        self._app = Database(settings.conninfo("worker", application_name="demo"), size=2)
        self._audit = Database(settings.conninfo("audit", application_name="demo"), size=1)
        self._owner = Database(settings.conninfo("owner", application_name="demo"), size=1)
        self._catcher = httpx.AsyncClient(base_url=settings.mail_catcher_url, timeout=20, trust_env=False)
        self._read: set[str] = set()
        self._kafka = AIOKafkaConsumer(**client_options(settings, "audit"), enable_auto_commit=False)

    async def start(self) -> None:
        """Connect, and skip the records that are in Kafka already."""
        self._app.open()
        self._audit.open()
        self._owner.open()
        await self._kafka.start()
        names = {topic_name(self._settings, topic): topic for topic in event_topics()}
        partitions = [
            TopicPartition(name, number) for name in names for number in range(self._settings.kafka_num_partitions)
        ]
        self._kafka.assign(partitions)
        await self._kafka.seek_to_end(*partitions)
        for partition in partitions:
            await self._kafka.position(partition)
        self.seen.records = {topic: Counter() for topic in event_topics()}

    async def close(self) -> None:
        """Disconnect."""
        await self._kafka.stop()
        await self._catcher.aclose()
        self._app.close()
        self._audit.close()
        self._owner.close()

    async def look(self) -> None:
        """Read all servers once, in parallel."""
        await asyncio.gather(asyncio.to_thread(self._look_at_postgres), self._look_at_mails(), self._look_at_kafka())

    def failures(self) -> list[DictRow]:
        """Return the failed jobs with their errors."""
        return [row for row in self._ask(self._app, "failures") if row["kind"] in KINDS]

    def bounced(self) -> list[DictRow]:
        """Return the jobs whose mail was refused for good, with the replies."""
        return [row for row in self._ask(self._app, "bounced") if row["kind"] in KINDS]

    def lost_claims(self) -> int:
        """Return the number of claims that a killed process lost."""
        claims: int = self._ask(self._app, "lost_claims")[0]["claims"]
        return claims

    def interrupted_imports(self) -> int:
        """Return the number of attempts of imports that ended with their worker."""
        attempts: int = self._ask(self._app, "interrupted_imports")[0]["attempts"]
        return attempts

    def importing_worker(self) -> str | None:
        """Return the registered name of a worker that reads an import which has written some of its rows."""
        rows = self._ask(self._app, "importing_worker")
        return rows[0]["name"] if rows else None

    def mail_jobs(self) -> list[DictRow]:
        """Return the jobs that have sent a mail."""
        return [row for row in self._ask(self._app, "mail_jobs") if row["kind"] in KINDS]

    def books(self) -> SeenBooks:
        """Return the sums of the books, by Postgres, and those of the payment provider's ledger."""
        payments, charges = self._ask(self._app, "payments"), self._ask(self._app, "charges")
        sums = self._ask(self._app, "books")
        return SeenBooks(
            payments={row["state"]: row["payments"] for row in payments},
            differing=sum(row["differing"] for row in payments),
            charged={row["currency"]: row["amount"] for row in charges},
            charged_again=sum(row["again"] for row in charges),
            income={row["currency"]: row["amount"] for row in sums if row["kind"] == "income"},
            expense={row["currency"]: row["amount"] for row in sums if row["kind"] == "expense"},
        )

    def analytics(self) -> dict[str, dict[str, Decimal]]:
        """Return the sums that analytics has, by `income` and `expense` and then by currency."""
        rows = self._ask(self._owner, "analytics")
        return {what: {row["currency"]: row[what] for row in rows if row[what]} for what in ("income", "expense")}

    def people(self) -> list[tuple[str, str]]:
        """Return the address and the name of each account, in order."""
        return sorted((row["email"], row["name"]) for row in self._ask(self._owner, "people"))

    def of_this_play(self, contacts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those of the CRM's contacts who are people of this play."""
        return [contact for contact in contacts if self._tag in contact[0]]

    def chains(self) -> list[Chain]:
        """Verify the hash chains of the audit log."""
        with self._audit.transaction() as session:
            session.execute("set transaction isolation level repeatable read, read only")
            return list(verify(session))

    def dead_letters(self) -> int:
        """Return the number of messages on `jobs_failed`."""
        connection = pika.BlockingConnection(connection_parameters(self._settings, login="operator", name="demo"))
        try:
            count: int = connection.channel().queue_declare(FAILED_QUEUE, passive=True).method.message_count
        finally:
            connection.close()
        return count

    def _look_at_postgres(self) -> None:
        seen = self.seen
        seen.jobs = Counter({(row["kind"], row["state"]): row["jobs"] for row in self._ask(self._app, "jobs")})
        (people,) = self._ask(self._app, "users")
        seen.users, seen.activated = people["users"], people["activated"]
        seen.audited = {row["type"]: row for row in self._ask(self._audit, "audited")}

    def _ask(self, database: Database, query: str) -> list[DictRow]:
        with database.transaction() as session:
            return session.fetch_all(_QUERIES[query], self._parameters)

    async def _look_at_mails(self) -> None:
        for brief in await self._new_mails():
            self._read.add(brief["ID"])
            if not any(self._tag in person["Address"] for person in brief["To"]):
                continue  # Of an earlier play.
            self.seen.mails[brief["MessageID"].partition("@")[0]] += 1
            mail = (await self._catcher.get(f"/api/v1/message/{brief['ID']}")).raise_for_status().json()
            await self._on_mail(mail["Text"], brief["MessageID"].partition("@")[0], brief["To"][0]["Address"])

    async def _new_mails(self) -> list[dict[str, Any]]:
        """Return the mails that were not read yet, the newest first."""
        found: list[dict[str, Any]] = []
        start = 0
        while True:
            answer = await self._catcher.get("/api/v1/messages", params={"start": start, "limit": _PAGE})
            page = answer.raise_for_status().json()["messages"]
            fresh = [brief for brief in page if brief["ID"] not in self._read]
            found += fresh
            if len(fresh) < _PAGE:
                return found
            start += _PAGE

    async def _look_at_kafka(self) -> None:
        for partition, records in (await self._kafka.getmany(timeout_ms=100)).items():
            topic = partition.topic.removeprefix(self._settings.kafka_topic_prefix)
            for record in records:
                event = envelope.read(record.value)
                if (event.correlation_id or "").startswith(self._prefix):
                    self.seen.records[topic][event.id] += 1
                    self.seen.types[event.id] = event.type
