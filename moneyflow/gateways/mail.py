"""Mail by SMTP: connections reused, every answer of the server turned into 'later' or 'never'."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Protocol
from uuid import UUID

import aiosmtplib
import structlog

from moneyflow.gateways import mail_metrics as metrics
from moneyflow.platform import clock
from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.platform.settings import Settings

log = structlog.get_logger(__name__)

_TIMEOUT_SECONDS = 20.0
#: A connection that idled for longer is asked whether it still works before a mail is trusted to it.
_IDLE_SECONDS = 5.0
_LAST_MOMENT_SECONDS = 0.05
_PERMANENT_FROM, _PERMANENT_TO = 500, 599
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


class Rendered(Protocol):
    """A mail's three texts, as `mail_templates.render` returns them."""

    @property
    def subject(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def html(self) -> str: ...


Render = Callable[[str, Mapping[str, Any]], Rendered]


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """To whom a mail goes."""

    name: str
    address: str


class Mailer:
    """Renders and sends mails; safe to use from many threads.

    A mail's Message-ID comes from its job's id, so that a mail which had to be sent twice is seen to be one.
    """

    def __init__(self, settings: Settings, render: Render) -> None:
        self._settings = settings
        self._render = render
        self._connections = _Connections(settings)

    def send(self, template: str, *, to: Recipient, values: Mapping[str, Any], job_id: UUID) -> None:
        """Send one mail.

        Raises:
            UnavailableError: the server does not answer, or says 'later' (4xx); try again.
            PermanentError: the server refuses this mail or its recipient for good (5xx).
        """
        try:
            message = self._message(self._render(template, values), to, job_id)
            self._connections.send(message)
        except PermanentError:
            metrics.emails.labels(template, "refused").inc()
            raise
        except Exception:
            metrics.emails.labels(template, "later").inc()
            raise
        metrics.emails.labels(template, "sent").inc()

    def close(self) -> None:
        """Say goodbye to the server."""
        self._connections.close()

    def _message(self, rendered: Rendered, to: Recipient, job_id: UUID) -> EmailMessage:
        sender = self._settings.mail_from_address
        message = EmailMessage()  # Refuses a line break in any header, so nobody can add one of their own.
        try:
            message["Subject"] = rendered.subject
            message["From"] = _address(self._settings.mail_from_name, sender)
            message["To"] = _address(to.name, to.address)
        except (ValueError, IndexError, MessageError) as error:
            raise PermanentError(f"the mail's headers cannot be written: {error}") from error
        message["Date"] = format_datetime(clock.now())
        message["Message-ID"] = f"<{job_id}@{sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(rendered.text)
        message.add_alternative(rendered.html, subtype="html")
        return message


def _address(name: str, spec: str) -> Address:
    """Return a name with its address; `Address` itself reads no local part beyond ASCII, as RFC 6531 allows."""
    local, _, domain = spec.rpartition("@")
    if local.isascii():
        return Address(name, addr_spec=spec)
    Address(addr_spec=f"{_BEYOND_ASCII.sub('x', local)}@{domain}")  # Refuses what is no address otherwise.
    return Address(name, username=local, domain=domain)


class _Connections:
    """SMTP connections on an event loop in a thread of its own; one mail at a time on each, idle ones reused."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp", daemon=True)
        self._thread.start()

    def send(self, message: EmailMessage) -> None:
        future = asyncio.run_coroutine_threadsafe(self._send(message), self._loop)
        try:
            future.result(timeout=3 * _TIMEOUT_SECONDS)
        except TimeoutError as error:
            future.cancel()
            raise UnavailableError("the mail server did not answer in time") from error

    def close(self) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._quit(), self._loop).result(timeout=5)
        except TimeoutError:
            log.warning("mail_server_does_not_say_goodbye")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    async def _send(self, message: EmailMessage) -> None:
        client = await self._connected()
        try:
            await client.send_message(message)
        except aiosmtplib.SMTPException as error:
            await self._after_error(client, error)
        except OSError as error:
            _cut(client)
            raise UnavailableError(f"the connection with the mail server broke: {error}") from error
        except BaseException:  # What cannot be written, or a time-out: the connection may be in the middle of a mail.
            _cut(client)
            raise
        else:
            self._idle.append((client, time.monotonic()))

    async def _after_error(self, client: aiosmtplib.SMTP, error: aiosmtplib.SMTPException) -> None:
        # After a refusal the connection is as good as before; send_message has reset it.
        if isinstance(error, aiosmtplib.SMTPResponseException | aiosmtplib.SMTPRecipientsRefused):
            self._idle.append((client, time.monotonic()))
        else:
            _cut(client)
        raise _meaning(error) from error

    async def _connected(self) -> aiosmtplib.SMTP:
        while self._idle:
            client, since = self._idle.pop()
            if time.monotonic() - since < _IDLE_SECONDS and client.is_connected:
                return client
            try:
                await client.noop()
            except (aiosmtplib.SMTPException, OSError):
                _cut(client)
            else:
                return client
        return await self._connect()

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.mail_host,
            port=settings.mail_port,
            username=settings.mail_username or None,
            password=settings.mail_password.get_secret_value() or None,
            use_tls=settings.mail_encryption == "tls",
            start_tls=settings.mail_encryption == "starttls",
            timeout=_TIMEOUT_SECONDS,
        )
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            # Even a 5xx: a wrong password or a full server is ours to mend, and no mail's fault.
            _cut(client)
            where = f"{settings.mail_host}:{settings.mail_port}"
            raise UnavailableError(f"no connection with the mail server {where}: {error}") from error
        return client

    async def _quit(self) -> None:
        for client, _ in self._idle:
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.execute_command(b"QUIT")
            _cut(client)
        self._idle.clear()
        # A transport that was cut, or whose handshake failed, closes its socket in turns of the loop to come.
        await asyncio.sleep(_LAST_MOMENT_SECONDS)


def _cut(client: aiosmtplib.SMTP) -> None:
    """Close the socket now: TLS would wait for the other side's goodbye, and outlive the loop."""
    transport = client.transport
    client.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def _meaning(error: aiosmtplib.SMTPException) -> PermanentError | UnavailableError:
    """Say whether the same mail may be taken later. A refused sender is our configuration, no fault of the mail."""
    code, said = None, str(error)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refused = max(error.recipients, key=lambda recipient: recipient.code)
        code, said = refused.code, f"{refused.code} {refused.message}"
    elif isinstance(error, aiosmtplib.SMTPResponseException) and not isinstance(
        error, aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPAuthenticationError
    ):
        code = error.code
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return PermanentError(f"the mail server cannot write to such an address: {said}")
    if code is not None and _PERMANENT_FROM <= code <= _PERMANENT_TO:
        return PermanentError(f"the mail server refuses this mail: {said}")
    return UnavailableError(f"the mail server takes this mail later at best: {said}")
