"""SMTP connections: an event loop in a thread of its own, idle connections reused, errors mapped to the error tree."""

import asyncio
import threading
import time
from contextlib import suppress
from email.message import EmailMessage

import aiosmtplib
import structlog

from moneyflow.gateways.mail.settings import MailSettings
from moneyflow.platform.errors import PermanentError, UnavailableError

log = structlog.get_logger(__name__)

#: Seconds for each step of a conversation with the server; a mail takes a few steps.
_TIMEOUT_SECONDS = 20.0
#: Seconds for a whole mail, its connection included; three steps of the slowest server.
_SEND_SECONDS = 3 * _TIMEOUT_SECONDS
#: Seconds for QUIT on all connections; then the process stops without it.
_CLOSE_SECONDS = 5.0
#: Seconds after which an idle connection is checked by NOOP before a mail is sent on it; servers close idle ones.
_IDLE_SECONDS = 5.0
#: Seconds that the loop still runs at the end: a transport that was aborted closes its socket in a later iteration.
_LAST_ITERATIONS_SECONDS = 0.05
_PERMANENT_FROM, _PERMANENT_TO = 500, 599


class Connections:
    """The SMTP connections of one mailer; each carries one mail at a time, and idle ones are reused."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._is_closed = False
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp", daemon=True)
        self._thread.start()

    def send(self, message: EmailMessage) -> None:
        """Send one message.

        Raises:
            UnavailableError: the server does not answer, or defers the mail.
            PermanentError: the server refuses the mail or its recipient.
        """
        future = asyncio.run_coroutine_threadsafe(self._send(message), self._loop)
        try:
            future.result(timeout=_SEND_SECONDS)
        except TimeoutError as error:
            future.cancel()
            raise UnavailableError(
                f"the mail server {self._settings.mail_address} did not answer within {_SEND_SECONDS:.0f} seconds; "
                "retry later"
            ) from error

    def close(self) -> None:
        """Close all connections and end the thread; safe to repeat."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            asyncio.run_coroutine_threadsafe(self._quit(), self._loop).result(timeout=_CLOSE_SECONDS)
        except TimeoutError:
            log.warning("smtp_quit_timed_out", seconds=_CLOSE_SECONDS)
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
            _abort(client)
            where = self._settings.mail_address
            raise UnavailableError(f"the connection to the mail server {where} broke: {error}; retry later") from error
        except BaseException:  # A time-out, or a message that cannot be encoded: the connection may be mid-message.
            _abort(client)
            raise
        else:
            self._idle.append((client, time.monotonic()))

    async def _after_error(self, client: aiosmtplib.SMTP, error: aiosmtplib.SMTPException) -> None:
        """Keep the connection after a refusal, which `send_message` has reset; abort it after any other error."""
        if isinstance(error, aiosmtplib.SMTPResponseException | aiosmtplib.SMTPRecipientsRefused):
            self._idle.append((client, time.monotonic()))
        else:
            _abort(client)
        raise _mapped(error) from error

    async def _connected(self) -> aiosmtplib.SMTP:
        while self._idle:
            client, since = self._idle.pop()
            if time.monotonic() - since < _IDLE_SECONDS and client.is_connected:
                return client
            try:
                await client.noop()
            except (aiosmtplib.SMTPException, OSError):
                _abort(client)
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
            # Even a 5xx: a wrong password or a full server is corrected by operators; the mail itself is valid.
            _abort(client)
            where = settings.mail_address
            raise UnavailableError(f"no connection to the mail server {where}: {error}; check MAIL_*") from error
        return client

    async def _quit(self) -> None:
        for client, _ in self._idle:
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.execute_command(b"QUIT")
            _abort(client)
        self._idle.clear()
        await asyncio.sleep(_LAST_ITERATIONS_SECONDS)


def _abort(client: aiosmtplib.SMTP) -> None:
    """Close the socket at once: a TLS shutdown would wait for the server, and outlive the loop."""
    transport = client.transport
    client.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def _mapped(error: aiosmtplib.SMTPException) -> PermanentError | UnavailableError:
    """Return the error that says whether the same mail may be sent later.

    A refused sender is a fault of the configuration and not of the mail: it is retried.
    """
    code, said = None, str(error)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refused = max(error.recipients, key=lambda recipient: recipient.code)
        code, said = refused.code, f"{refused.code} {refused.message}"
    elif isinstance(error, aiosmtplib.SMTPResponseException) and not isinstance(
        error, aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPAuthenticationError
    ):
        code = error.code
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return PermanentError(f"the mail server does not support such an address: {said}; correct the address")
    if code is not None and _PERMANENT_FROM <= code <= _PERMANENT_TO:
        return PermanentError(f"the mail server refused this mail: {said}; correct the address or the mail")
    return UnavailableError(f"the mail server deferred this mail: {said}; retry later")
