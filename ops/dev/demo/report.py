"""Report: compares what the API accepted with accounts, jobs, mails, events and audit rows, and prints the sums."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from psycopg.rows import DictRow
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moneyflow.audit.verify import Chain
from ops.dev.demo.books import ExpectedBooks
from ops.dev.demo.crowd import Crowd
from ops.dev.demo.exports import expected_exports
from ops.dev.demo.people import Person
from ops.dev.demo.sinks import SeenSinks
from ops.dev.demo.visit import expected_refusals
from ops.dev.demo.watch import KINDS, Seen, SeenBooks
from ops.dev.stack.contract import ProcessInfo

#: Numbers, or sums of money, by name.
Counts = Mapping[str, int] | Mapping[str, Decimal]

UNFINISHED = ("scheduled", "queued", "running", "retrying")
#: SMTP has no exactly-once: a mail that a killed worker was sending may be sent again. Twice a worker's four threads.
MOST_SENT_TWICE_PER_KILL = 8
MEMORY_LIMIT_MIB = 150
#: The API hashes two passwords at once, 19 MiB each, in threads that keep their memory.
API_MEMORY_LIMIT_MIB = 200


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Counts that the file of people leads to."""

    accepted: int
    accounts: int
    bouncing: int
    refusals: Mapping[str, int]
    books: ExpectedBooks
    #: Statements by format.
    exports: Mapping[str, int]

    @classmethod
    def of(cls, people: Sequence[Person]) -> "Expected":
        """Count one account for each address whatever its case, and one bounce for each `bounces`."""
        accepted = [person for person in people if person.is_accepted()]
        owners = {person.email.lower(): person for person in reversed(accepted)}
        visitors = [person for person in owners.values() if person.expected != "bounces"]
        return cls(
            accepted=len(accepted),
            accounts=len(owners),
            refusals=expected_refusals(visitors),
            books=ExpectedBooks.of(visitors),
            exports=expected_exports(visitors),
            bouncing=sum(person.expected == "bounces" for person in accepted),
        )

    @property
    def activated(self) -> int:
        """Return how many people get a mail and follow its link."""
        return self.accounts - self.bouncing

    @property
    def mails(self) -> int:
        """Return the number of jobs that mail: of sign-ups, welcomes, payments that succeed, and exports."""
        return self.accepted + self.activated + self.books.paid + sum(self.exports.values())

    @property
    def jobs(self) -> int:
        """Return the number of jobs of the expected kinds: mails, payments, imports and exports."""
        return self.mails + self.books.people + self.books.imports + sum(self.exports.values())

    @property
    def events(self) -> dict[str, int]:
        """Return the number of events by type."""
        return self.books.events | {
            "user.created": self.accounts,
            "user.activated": self.activated,
            "auth.sign_in": self.activated,
            "auth.sign_in_failed": self.refusals["wrong password"],
            "user.updated": self.activated,
            "auth.sign_out": self.activated,
        }


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Everything that was found at the end of the play."""

    people: Sequence[Person]
    crowd: Crowd
    seen: Seen
    failures: Sequence[DictRow]
    bounced: Sequence[DictRow]
    mail_jobs: Sequence[DictRow]
    chains: Sequence[Chain]
    dead_letters: int
    lost_claims: int
    kills: int
    interrupted_imports: int
    books: SeenBooks
    sinks: SeenSinks
    processes: Sequence[ProcessInfo]
    surprises: list[str] = field(default_factory=list)

    @property
    def expected(self) -> Expected:
        """Return the counts that the file leads to."""
        return Expected.of(self.people)

    @property
    def sent_twice(self) -> int:
        """Return how many mails were sent more than once."""
        return sum(count - 1 for count in self.seen.mails.values())

    def lost(self) -> list[str]:
        """Return the counts that are too small: something was accepted and has no effect."""
        seen, expected = self.seen, self.expected
        events = Counter(seen.types.values())
        checks = [
            ("accounts", expected.accounts - seen.users),
            ("activations", expected.activated - seen.activated),
            ("visits", expected.activated - len(self.crowd.visits.done)),
            *((f"refusals of a {what}", n - self.crowd.visits.refused[what]) for what, n in expected.refusals.items()),
            *((f"exported {of}", n - self.crowd.visits.exports.read[of]) for of, n in expected.exports.items()),
            ("unfinished jobs", unfinished(seen)),
            ("jobs", expected.jobs - promised(seen)),
            ("mails", sum(str(row["id"]) not in seen.mails for row in self.mail_jobs)),
            ("dead letters", len(self.failures) - self.dead_letters),
            *((f"{kind} events", count - events[kind]) for kind, count in expected.events.items()),
            *((f"{kind} audit rows", count - _of(seen, kind, "events")) for kind, count in expected.events.items()),
        ]
        return [f"{count} {what}" for what, count in checks if count > 0]

    def doubled(self) -> list[str]:
        """Return the counts that are too large."""
        seen, expected = self.seen, self.expected
        checks = [
            ("accounts", seen.users - expected.accounts),
            ("jobs", promised(seen) - expected.jobs),
            *((f"{kind} audit rows", _of(seen, kind, "rows") - count) for kind, count in expected.events.items()),
        ]
        return [f"{count} {what}" for what, count in checks if count > 0]

    def complaints(self) -> list[str]:
        """Return every sum that does not hold."""
        found = [*self.surprises, *(f"lost: {what}" for what in self.lost())]
        found += [f"doubled: {what}" for what in self.doubled()]
        found += [f"chain {c.topic} {c.partition}: {c.fault}" for c in self.chains if c.fault]
        if self.failures:
            found.append(f"{len(self.failures)} jobs failed: {self.failures[0]['error_message']}")
        found += self._book_faults() + self.sinks.faults(self.expected.books)
        if not self.interrupted_imports:
            found.append("no import was interrupted by a kill")
        if len(self.bounced) != self.expected.bouncing:
            found.append(f"{len(self.bounced)} mails bounced, not {self.expected.bouncing}")
        if self.sent_twice > self.kills * MOST_SENT_TWICE_PER_KILL:
            found.append(f"{self.sent_twice} mails were sent twice by {self.kills} kills")
        found += [
            f"{process.name} takes {process.resident_mib:.0f} MiB, more than {_limit_mib(process.name)}"
            for process in self.processes
            if process.resident_mib > _limit_mib(process.name)
        ]
        return found

    def _book_faults(self) -> list[str]:
        """Return what the books, or the payment provider's ledger, have otherwise than the plans of the people."""
        found, expected = self.books, self.expected.books
        checks: list[tuple[str, Counts, Counts]] = [
            ("income", expected.income, found.income),
            ("expense", expected.expense, found.expense),
            ("the provider's ledger", expected.charged, found.charged),
            ("payments", expected.payments, found.payments),
            ("rows of statements", expected.rows, self.crowd.visits.imports.rows),
        ]
        faults = [f"{what}: {_shown(has)}, not {_shown(wanted)}" for what, wanted, has in checks if wanted != has]
        if found.differing:
            faults.append(f"{found.differing} payments differ from the provider's ledger")
        if found.charged_again < expected.lost_answers:
            faults.append(f"the provider lost {found.charged_again} answers, not {expected.lost_answers}")
        return faults

    def print(self, console: Console) -> None:
        """Print the tables and the sums that do not hold."""
        console.print(self._sums())
        console.print(self._memory())
        for complaint in self.complaints():
            console.print(f"[red]✗[/] {escape(complaint)}", highlight=False)

    def _sums(self) -> Table:
        seen, expected, crowd = self.seen, self.expected, self.crowd
        events = Counter(seen.types.values())
        records = sum(ids.total() for ids in seen.records.values())
        table = Table("count", "expected", "found", "", title="results", title_justify="left")
        table.add_row("accepted (202)", str(expected.accepted), str(crowd.accepted), f"{len(self.people)} rows")
        refused = len(self.people) - expected.accepted
        table.add_row("refused (422)", str(refused), str(crowd.refused), "each with its field and reason")
        table.add_row("accounts", str(expected.accounts), str(seen.users), "one for each address, whatever its case")
        table.add_row("activated", str(expected.activated), str(seen.activated), "by the link in the mail")
        for what, count in expected.refusals.items():
            table.add_row(f"refused: {what}", str(count), str(crowd.visits.refused[what]), "of those who may not")
        for format, count in expected.exports.items():
            read = str(self.crowd.visits.exports.read[format])
            table.add_row(f"exported as {format}", str(count), read, "downloaded by the link in the mail")
        mails = expected.mails - expected.bouncing
        table.add_row("mails delivered", str(mails), str(len(seen.mails)), f"{self.sent_twice} sent twice")
        self._add_books(table)
        for kind, count in expected.events.items():
            table.add_row(kind, str(count), str(events[kind]), f"{_of(seen, kind, 'rows')} audit rows")
        self._add_sinks(table)
        table.add_row("records in Kafka", "", str(records), f"{records - len(seen.types)} sent twice, audited once")
        sound = sum(chain.fault is None for chain in self.chains)
        rows = sum(chain.rows for chain in self.chains)
        table.add_row("chains verified", str(len(self.chains)), str(sound), f"{rows} rows in all")
        reasons = "\n".join(escape(f"{row['email']}: {row['reason']}") for row in self.bounced)
        table.add_row("mails bounced", str(expected.bouncing), str(len(self.bounced)), reasons)
        table.add_row("failed, on jobs_failed", "0", str(self.dead_letters), "")
        table.add_row("processes killed", "", str(self.kills), f"{self.lost_claims} of their jobs were rescued")
        table.add_row("lost", "0", str(len(self.lost())), "; ".join(self.lost()), style="bold")
        table.add_row("doubled", "0", str(len(self.doubled())), "; ".join(self.doubled()), style="bold")
        return table

    def _add_books(self, table: Table) -> None:
        found, expected = self.books, self.expected.books
        for state, count in expected.payments.items():
            table.add_row(f"payments {state}", str(count), str(found.payments.get(state, 0)), "")
        again = f"{found.charged_again} asked for again, each charged once"
        for what, count in expected.rows.items():
            table.add_row(f"rows {what}", str(count), str(self.crowd.visits.imports.rows[what]), "of statements")
        table.add_row("imports interrupted", "", str(self.interrupted_imports), "by a kill, and continued")
        table.add_row("charged by the provider", _shown(expected.charged), _shown(found.charged), again)
        table.add_row("income in the books", _shown(expected.income), _shown(found.income), "summed by Postgres")
        table.add_row("expense in the books", _shown(expected.expense), _shown(found.expense), "payments included")

    def _add_sinks(self, table: Table) -> None:
        found, expected = self.sinks, self.expected.books
        for what, sums in (("income", expected.income), ("expense", expected.expense)):
            table.add_row(f"{what} in analytics", _shown(sums), _shown(found.sums[what]), "summed from the events")
        table.add_row("contacts in the CRM", str(len(found.people)), str(len(found.contacts)), "after an outage of it")
        table.add_row("events set aside", "1", str(found.reprocessed), "by analytics, and written once it was mended")

    def _memory(self) -> Table:
        largest: dict[str, float] = {}
        for process in self.processes:
            largest[process.name] = max(largest.get(process.name, 0), process.resident_mib)
        table = Table("process", "resident MiB, the largest", "at most", title="memory")
        for name, mib in sorted(largest.items()):
            table.add_row(name, f"{mib:.0f}", str(_limit_mib(name)))
        return table


def _shown(counts: Counts) -> str:
    return ", ".join(f"{count:f} {name}" if isinstance(count, Decimal) else f"{count} {name}"
                     for name, count in sorted(counts.items())) or "nothing"  # fmt: skip


def _limit_mib(process: str) -> int:
    return API_MEMORY_LIMIT_MIB if process == "api" else MEMORY_LIMIT_MIB


def _of(seen: Seen, kind: str, what: str) -> int:
    return int(seen.audited[kind][what]) if kind in seen.audited else 0


def promised(seen: Seen) -> int:
    """Return the number of jobs of the expected kinds."""
    return sum(count for (kind, _), count in seen.jobs.items() if kind in KINDS)


def unfinished(seen: Seen) -> int:
    """Return the number of unfinished jobs of the expected kinds."""
    return sum(count for (kind, state), count in seen.jobs.items() if kind in KINDS and state in UNFINISHED)
