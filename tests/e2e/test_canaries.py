"""Canaries: passwords, tokens and card numbers that people send are found nowhere afterwards, whatever has failed.

Every account flow runs on the real processes, with requests that are refused, a mail server that is down and one that
refuses a mail and repeats its text, jobs that are retried and dead letters. Hashes are no find, and neither is what has
to be somewhere: the link in the mail, and the token in the answer to the sign-in.

One of two people deletes their account at the end. From then on nothing of them is found either, neither their names
and address nor what they have written, and the chains of the audit log are whole: it never had any of it.
"""

import os
import re
import secrets
import socket
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from aiosmtpd.smtp import SMTP, Envelope, Session
from psycopg import sql

from moneyflow.audit.verify import verify
from moneyflow.platform.brokers.redis import client_options
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import SINKS, AllSettings
from tests.support import jobs, kafka_records, rabbitmq_admin
from tests.support.audit_log import audit_log
from tests.support.effects import LeaveEffect
from tests.support.places import Places, tap_queues
from tests.support.processes import Process, Processes
from tests.support.servers import RealServers
from tests.support.smtp import Mailhost, mailhost
from tests.support.waiting import eventually

_LINK = re.compile(r"#token=([A-Za-z0-9_-]+)")
_POST = "POST /v1/users HTTP/1.1\r\nHost: a\r\n"
_AS_NAME = "as a member's name"
#: A process of the API that counts, by a label that it should not have.
_COUNT = """
import sys
from prometheus_client import Counter
Counter("moneyflow_canary", "Planted", ["who"]).labels(sys.argv[1]).inc()
"""
#: The CRM is down all the time, so what would be sent stays to be sent.
_CRM_DOWN = {"CRM_ADAPTER": "hubspot", "CRM_URL": "http://127.0.0.1:1", "CRM_TOKEN": "a token of the tests"}
#: What `LeaveEffect` raises with.
_OF_A_JOB = "hunter22"


@dataclass
class Planted:
    """The canaries by name, each unlike any other text."""

    secrets: dict[str, str] = field(default_factory=dict)

    def password(self, name: str) -> str:
        """Plant a password."""
        return self._plant(f"password {name}", f"canary {secrets.token_hex(12)}")

    def card(self, name: str) -> str:
        """Plant a card number."""
        return self._plant(f"card {name}", "4" + "".join(str(secrets.randbelow(10)) for _ in range(15)))

    def token(self, name: str, text: str | None = None) -> str:
        """Plant a token that the product has made, or one of our own."""
        return self._plant(f"token {name}", text or secrets.token_urlsafe(32))

    def _plant(self, name: str, text: str) -> str:
        self.secrets[f"{name} {len(self.secrets)}"] = text
        return text


class EchoingMailhost:
    """A mail server that refuses the first mail to each recipient for good, and repeats the mail in its reply."""

    def __init__(self, host: Mailhost) -> None:
        self.host = host
        self.refused: set[str] = set()
        self._take = host.handle_DATA
        host.handle_DATA = self.handle_DATA  # type: ignore[method-assign]

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        recipient = envelope.rcpt_tos[0]
        if recipient in self.refused:
            return await self._take(server, _session, envelope)
        self.refused.add(recipient)
        content = envelope.original_content or b""
        link = re.search(rb"https?://\S+#token=[\w=\r\n-]+", content)
        assert link is not None, "the first mail has a link"
        on_one_line = link[0].replace(b"=\r\n", b"").partition(b"\r\n")[0].replace(b"=3D", b"=").decode()
        return f"554 5.7.1 looks like spam: {on_one_line}"

    def token(self, address: str) -> str | None:
        """Return the token of the last mail that was taken for the address."""
        for caught in reversed(self.host.caught):
            if caught.recipients == [address]:
                found = _LINK.search(caught.message.get_body(("plain",)).get_content())  # type: ignore[union-attr]
                return found[1] if found else None
        return None


@dataclass
class Visitor:
    """One person's client, which keeps every answer."""

    client: httpx.Client
    planted: Planted
    #: What is theirs alone: nothing of it is left once their account was deleted.
    name: str = field(default_factory=lambda: f"Zephyrine {secrets.token_hex(12)}")
    email: str = field(default_factory=lambda: f"{uuid.uuid4().hex}@mail.example")
    written: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        """Write a text of this person."""
        return self.written.setdefault(name, f"text {secrets.token_hex(12)}")

    def theirs(self) -> dict[str, str]:
        """Return all that is theirs alone; of the address the part before the `@`."""
        return {**self.written, "name": self.name, "address": self.email.partition("@")[0]}

    def send(self, method: str, path: str, status: int, body: Any = None, **headers: str) -> httpx.Response:
        """Send a request that is answered with this status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        answer = self.client.request(method, path, headers=named, **content)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        if "token" not in answer.text or not answer.is_success:
            self.answers.append(answer.text)
        return answer


@dataclass(frozen=True)
class Stage:
    """The processes of the test, and the places that they write to."""

    api: Process
    processes: Processes
    database: Database
    places: Places


@pytest.fixture
def stage(
    servers: RealServers, platform: AllSettings, database: Database, processes: Processes, tmp_path: Path
) -> Stage:
    tap_queues(servers, platform)
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    api = processes.api(PROMETHEUS_MULTIPROC_DIR=str(metrics))
    processes.relay()
    for sink in SINKS:
        processes.consumer(sink, wait_ready=False, **_CRM_DOWN)
    return Stage(api, processes, database, Places(servers, platform, processes.all(), [tmp_path]))


def _places(stage: Stage) -> Places:
    """Return the places with the processes that have been started since."""
    return Places(stage.places.servers, stage.places.settings, stage.processes.all(), stage.places.folders)


def _sign_up(visitor: Visitor) -> tuple[str, str]:
    """Sign up after mistakes; return the password and the id of the job that sends the mail."""
    planted, password = visitor.planted, visitor.planted.password("first")
    person = {"email": visitor.email, "name": visitor.name, "password": password}
    visitor.send("POST", "/v1/users", 422, {**person, "card_number": planted.card("of an unknown member")})
    visitor.send("POST", "/v1/users", 422, {**person, planted.card(_AS_NAME): 1})
    visitor.send("POST", "/v1/users", 422, {**person, "email": planted.password("as an address")})
    visitor.send("POST", "/v1/users", 422, {**person, "password": planted.password("too long") * 10})
    malformed = f'{{"email": "a@mail.example", "password": "{planted.password("in malformed JSON")}"'.encode()
    visitor.send("POST", "/v1/users", 400, malformed, Content_Type="application/json")
    visitor.send("POST", "/v1/users", 415, planted.password("of a form").encode(), Content_Type="text/plain")
    key = str(uuid.uuid4())
    job_id = visitor.send("POST", "/v1/users", 202, person, Idempotency_Key=key).json()["job_id"]
    visitor.send("POST", "/v1/users", 202, person, Idempotency_Key=key)
    other = {**person, "password": planted.password("under a used key")}
    visitor.send("POST", "/v1/users", 422, other, Idempotency_Key=key)
    return password, job_id


def _break_http(api: Process, planted: Planted) -> None:
    """Send what is no HTTP, with a secret in it."""
    for head in (
        f"{_POST}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        f"{_POST}Content-Length: x\r\n\r\n",
        "NO HTTP AT ALL ",
    ):
        with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
            connection.sendall(head.encode() + planted.password("of broken HTTP").encode() + b"\r\n\r\n")
            connection.recv(4096)


def _probe(visitor: Visitor) -> None:
    """Send secrets where none belongs: paths, queries, headers of another scheme."""
    token, planted = visitor.planted.token, visitor.planted
    visitor.send("GET", f"/v1/nowhere/{token('of a path')}?card={planted.card('of a query')}", 404)
    visitor.send("GET", f"/v1/jobs/{token('of an id')}?token={token('of a query')}", 404)
    visitor.send("GET", "/v1/users/me", 401, Authorization=f"Bearer {token('made up')}")
    visitor.send("GET", "/v1/users/me", 401, Authorization=f"Basic {token('of Basic')}")
    visitor.send("GET", "/v1/users/me", 401, Cookie=f"session={token('of a cookie')}; __Host-session={token('forged')}")
    visitor.send("POST", "/v1/users/activation", 422, {"token": token("unknown")})
    unknown = {"token": token("unknown reset"), "password": planted.password("of an unknown reset")}
    visitor.send("POST", "/v1/password-resets/confirm", 422, unknown)


def _sign_in(visitor: Visitor, password: str) -> dict[str, str]:
    """Sign in after a wrong password, by cookie and by bearer token; return the header of the bearer token."""
    planted, person = visitor.planted, {"email": visitor.email}
    visitor.send("POST", "/v1/sessions", 401, {**person, "password": planted.password("wrong")})
    stranger = {"email": "stranger@mail.example", "password": planted.password("of an unknown address")}
    visitor.send("POST", "/v1/sessions", 401, stranger)
    by_cookie = visitor.send("POST", "/v1/sessions", 201, {**person, "password": password})
    planted.token("of the cookie", by_cookie.headers["Set-Cookie"].partition("=")[2].partition(";")[0])
    by_bearer = visitor.send("POST", "/v1/sessions", 201, {**person, "password": password, "transport": "bearer"})
    visitor.client.cookies.clear()
    return {"Authorization": f"Bearer {planted.token('of the session', by_bearer.json()['token'])}"}


def _change(visitor: Visitor, password: str, session: dict[str, str]) -> None:
    """Change the profile and the password, after mistakes; all sessions end."""
    planted = visitor.planted
    visitor.send("GET", "/v1/sessions", 200, **session)
    etag = visitor.send("GET", "/v1/users/me", 200, **session).headers["ETag"]
    mistaken = {"name": "Ada King", "card_number": planted.card("in a profile")}
    visitor.send("PATCH", "/v1/users/me", 422, mistaken, If_Match=etag, **session)
    visitor.send("PATCH", "/v1/users/me", 412, {"name": "Ada King"}, If_Match='"99"', **session)
    visitor.send("PATCH", "/v1/users/me", 200, {"name": visitor.text("changed name")}, If_Match=etag, **session)
    new = planted.password("changed")
    wrong = {"current_password": planted.password("wrong current"), "password": new}
    visitor.send("PUT", "/v1/users/me/password", 422, wrong, **session)
    visitor.send("PUT", "/v1/users/me/password", 204, {"current_password": password, "password": new}, **session)
    visitor.send("GET", "/v1/users/me", 401, **session)


def _keep_a_book(visitor: Visitor, session: dict[str, str]) -> None:
    """Write all that takes free text, and change it."""
    text = visitor.text
    category = {"kind": "expense", "name": text("category"), "color": None}
    food = visitor.send("POST", "/v1/categories", 201, category, **session).json()["id"]
    renamed = {"name": text("changed category")}
    visitor.send("PATCH", f"/v1/categories/{food}", 200, renamed, If_Match="*", **session)
    bread = {"kind": "expense", "amount": "1.5", "currency": "EUR", "date": "2026-03-01", "category_id": food}
    noted = {**bread, "note": text("note"), "tags": [text("tag")]}
    path = "/v1/transactions/" + visitor.send("POST", "/v1/transactions", 201, noted, **session).json()["id"]
    changed = {"note": text("changed note"), "tags": [text("changed tag")]}
    visitor.send("PATCH", path, 200, changed, If_Match="*", **session)
    visitor.send("POST", "/v1/transactions", 422, {**noted, "note": text("refused note") * 100}, **session)


def _pay(visitor: Visitor, session: dict[str, str]) -> list[uuid.UUID]:
    """Pay with tokens of cards, after the number of a card was given for one; return the jobs."""
    planted = visitor.planted
    payment = {"amount": "12.34", "currency": "EUR", "description": visitor.text("description")}
    visitor.send("POST", "/v1/payments", 422, {**payment, "source": planted.card("as a source")}, **session)
    visitor.send("POST", "/v1/payments", 422, {**payment, "source": f"tok_{planted.card('as a token')}"}, **session)
    mistaken = {**payment, "source": "tok_ok", "card_number": planted.card("of a payment")}
    visitor.send("POST", "/v1/payments", 422, mistaken, **session)
    # Letters alone: twelve digits in a row count as the number of a card.
    letters = [uuid.uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop")) for _ in range(2)]
    sources = [f"tok_{planted.token('of a card', one)}" for one in letters]
    answers = [visitor.send("POST", "/v1/payments", 202, {**payment, "source": one}, **session) for one in sources]
    forged = {"Stripe_Signature": f"t=1,v1={planted.token('of a signature')}"}
    visitor.send("POST", "/v1/webhooks/stripe", 401, {"id": planted.token("of a webhook")}, **forged)
    return [uuid.UUID(answer.json()["job_id"]) for answer in answers]


def _activate(visitor: Visitor, mails: EchoingMailhost) -> None:
    visitor.send("POST", "/v1/users/activation/resend", 202, {"email": visitor.email})
    token = eventually(lambda: mails.token(visitor.email), what="the second mail is taken")
    visitor.planted.token("of the activation", token)
    for _ in range(2):
        visitor.send("POST", "/v1/users/activation", 200, {"token": token})


def _unfinished(database: Database) -> int:
    with database.transaction() as session:
        row = session.fetch_one("select count(*) as jobs from jobs where finished_at is null")
    assert row is not None
    return int(row["jobs"])


def _reset(visitor: Visitor, mails: EchoingMailhost) -> str:
    before = mails.token(visitor.email)
    visitor.send("POST", "/v1/password-resets", 202, {"email": visitor.email})
    token = eventually(
        lambda: (found := mails.token(visitor.email)) != before and found, what="the mail of the reset is taken"
    )
    assert isinstance(token, str)
    visitor.planted.token("of the reset", token)
    new = visitor.planted.password("reset")
    visitor.send("POST", "/v1/password-resets/confirm", 204, {"token": token, "password": new})
    visitor.send("POST", "/v1/password-resets/confirm", 422, {"token": token, "password": new})
    return new


@pytest.mark.timeout(240)
def test_no_password_token_or_card_number_is_found_anywhere_after_every_flow_has_run_and_failed(
    stage: Stage, database: Database, settings: AllSettings
) -> None:
    planted = Planted({"password of a job's error": _OF_A_JOB})
    with mailhost() as host, httpx.Client(base_url=f"http://127.0.0.1:{stage.api.port}", timeout=30) as client:
        visitor, leaver = Visitor(client, planted), Visitor(client, planted)
        mails = EchoingMailhost(host)
        with database.transaction() as session:
            dead = enqueue(session, LeaveEffect(failures=99))

        broken = stage.processes.worker(MAIL_PORT="1")
        signed_up = {person.email: _sign_up(person) for person in (visitor, leaver)}
        first = [uuid.UUID(job_id) for _, job_id in signed_up.values()]
        _break_http(stage.api, planted)
        _probe(visitor)
        eventually(lambda: all(jobs.attempts(database, one) for one in first), what="the mails were attempted")
        broken.kill()
        stage.processes.worker(MAIL_PORT=str(host.port))
        jobs.until_all(database, [*first, dead], "failed")
        for person in (visitor, leaver):
            _activate(person, mails)
            _change(person, signed_up[person.email][0], _sign_in(person, signed_up[person.email][0]))
            session_of = _sign_in(person, _reset(person, mails))
            _keep_a_book(person, session_of)
            jobs.until_all(database, _pay(person, session_of), "succeeded")
            if person is leaver:
                stayed = _places(stage).find(leaver.theirs())
                person.send("DELETE", "/v1/users/me", 204, **session_of)
            else:
                person.send("DELETE", "/v1/sessions/current", 204, **session_of)
            person.send("GET", "/v1/users/me", 401, **session_of)
        eventually(lambda: _unfinished(database) == 0, what="every job has ended")
        eventually(lambda: rabbitmq_admin.ready(settings, "jobs_failed") == len(first) + 1, what="dead letters")
        _until_sinks_have_read(settings)

    answers = "\n".join((*visitor.answers, *leaver.answers))
    assert len(planted.secrets) > 50, "every flow has planted its own"
    repeated = [name for name, secret in planted.secrets.items() if secret in answers]
    assert [name for name in repeated if _AS_NAME not in name] == []  # A pointer names the unknown member.
    assert _places(stage).find(planted.secrets) == []
    assert {place.rpartition(" in ")[2] for place in stayed} == {"database"}, "until then, in their own rows"
    assert _places(stage).find(leaver.theirs()) == []
    with audit_log(settings) as log, log.transaction() as session:
        chains = list(verify(session))
    assert sum(chain.rows for chain in chains) > 30
    assert [chain.fault for chain in chains if chain.fault] == []


def _until_sinks_have_read(settings: AllSettings) -> None:
    """Wait until each sink has read the deletion of the account, which is the last event about a person."""
    written = kafka_records.everything_in(settings, "user.events")
    assert any(b'"type":"user.deleted"' in (record.value or b"") for record in written)

    def read(sink: str) -> int:
        with psycopg.connect(settings.conninfo(sink, application_name="test")) as connection:
            query = sql.SQL("select coalesce(sum(next_offset), 0) from {}.positions where topic = 'user.events'")
            row = connection.execute(query.format(sql.Identifier(sink))).fetchone()
        assert row is not None
        return int(row[0])

    for sink in SINKS:
        eventually(lambda: read(sink) == len(written), what=f"{sink} has read all events")  # noqa: B023


def _plant_in_redis(settings: AllSettings, canary: str) -> None:
    client = redis.Redis(**client_options(settings))
    client.set(f"money-flow:{canary}", "1", ex=60)
    client.close()


def test_a_canary_that_is_planted_by_hand_is_found_in_each_place(
    stage: Stage, servers: RealServers, settings: AllSettings, database: Database, tmp_path: Path
) -> None:
    canary, vhost = f"canary-{secrets.token_hex(12)}", settings.rabbitmq_vhost
    with database.transaction() as session:
        enqueue(session, LeaveEffect(held_by=canary))
    rabbitmq_admin.publish(servers, vhost, canary, {}, exchange="jobs")
    rabbitmq_admin.publish(servers, vhost, "{}", {"headers": {"x-error-message": canary}}, exchange="jobs.dead")
    kafka_records.produce(settings, "user.events", [(b"key", canary.encode())])
    with stage.api.log_path.open("a") as log:
        log.write(canary)
    server_log = servers.folder / "logs" / "mail.log"
    with server_log.open("a") as log:
        log.write(canary)
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "file").write_bytes(canary.encode().hex().encode())
    _plant_in_redis(settings, canary)
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    subprocess.run([sys.executable, "-c", _COUNT, canary], env=environment, check=True)

    found = _places(stage).find({"canary": canary})

    assert found == [f"canary in {place}" for place in stage.places.all()]
