"""A real SMTP server for one test: keeps what it took, and refuses, hangs up or asks for a login as the test says."""

import asyncio
import email.policy
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from email.parser import BytesParser, Parser
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.processes import free_port

USER, PASSWORD = "mailer", "correct-horse"


@dataclass(frozen=True)
class Caught:
    """A mail as the server took it."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    raw: bytes

    @property
    def headers(self) -> Message:
        """Return the headers as a reader of UTF-8 has them; `message` has read them byte by byte."""
        head = self.raw.partition(b"\r\n\r\n")[0].decode()
        return Parser(policy=email.policy.SMTPUTF8).parsestr(head)


@dataclass
class Mailhost:
    """What the server saw, and what it answers: `refusals` are given to one recipient or one mail each, in order."""

    port: int
    caught: list[Caught] = field(default_factory=list)
    connections: int = 0
    logins: int = 0
    refuse_recipient: list[str] = field(default_factory=list)
    refuse_data: list[str] = field(default_factory=list)
    refuse_sender: list[str] = field(default_factory=list)
    hang_up: bool = False

    async def handle_MAIL(self, _s: SMTP, _se: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        if self.refuse_sender:
            return self.refuse_sender.pop(0)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, _s: SMTP, _se: Session, envelope: Envelope, address: str, _o: list[str]) -> str:  # noqa: N802
        if self.refuse_recipient:
            return self.refuse_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse_data:
            return self.refuse_data.pop(0)
        if self.hang_up:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        sender, content = envelope.mail_from, envelope.original_content
        assert sender is not None
        assert content is not None
        message = BytesParser(_class=EmailMessage, policy=email.policy.SMTPUTF8).parsebytes(content)
        self.caught.append(Caught(sender, list(envelope.rcpt_tos), message, content))
        return "250 OK"

    def authenticate(self, _s: SMTP, _se: Session, _e: Envelope, _mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        self.logins += good
        return AuthResult(success=good, handled=False)


@contextmanager
def mailhost(
    *,
    certificate: "Certificate | None" = None,
    starttls: bool = False,
    login: bool = False,
    port: int | None = None,
    smtputf8: bool = True,
) -> Iterator[Mailhost]:
    """Run an SMTP server in a thread of its own; with a certificate it speaks TLS, at once or after STARTTLS."""
    host = Mailhost(port or free_port())
    context = certificate.context() if certificate else None
    options: dict[str, Any] = {"tls_context": context, "require_starttls": True} if starttls else {}
    if login:
        options |= {"authenticator": host.authenticate, "auth_required": True}

    def accept() -> SMTP:
        host.connections += 1
        return SMTP(host, enable_SMTPUTF8=smtputf8, hostname="mailhost.test", loop=loop, **options)

    async def listen() -> asyncio.Server:
        return await loop.create_server(accept, "127.0.0.1", host.port, ssl=None if starttls else context)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="mailhost", daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(5)
    try:
        yield host
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    """Close the port, and cut every connection."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 that no client trusts unless it is given."""

    file: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def make_certificate(folder: Path) -> Certificate:
    """Make a key and a certificate signed by itself."""
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made.key, "-out", made.file],
        check=True, capture_output=True,
    )  # fmt: skip
    return made
