"""SMTP connections: an event loop in a thread of its own, idle connections reused, errors mapped to the error tree."""

import asyncio
import threading
import time
from contextlib import suppress

import aiosmtplib
import structlog

from moneyflow.gateways.mail import Bounce, replies
from moneyflow.gateways.mail.message import BuiltMail
from moneyflow.gateways.mail.settings import MailSettings
from moneyflow.platform.errors import UnavailableError

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


class Connections:
    """The SMTP connections of one mailer; each carries one mail at a time, and idle ones are reused."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._is_closed = False
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp", daemon=True)
        self._thread.start()

    def send(self, mail: BuiltMail) -> Bounce | None:
        """Send one mail; return the bounce when its recipient was refused for good.

        Raises:
            UnavailableError: the server does not answer, or defers the mail.
            PermanentError: the server refuses the mail, and not its recipient.
        """
        future = asyncio.run_coroutine_threadsafe(self._send(mail), self._loop)
        try:
            return future.result(timeout=_SEND_SECONDS)
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

    async def _send(self, mail: BuiltMail) -> Bounce | None:
        client = await self._connected()
        try:
            bounce = await _sent(client, mail)
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused) as error:
            self._idle.append((client, time.monotonic()))  # After a refusal `sendmail` has reset the connection.
            raise replies.error_of(error) from error
        except aiosmtplib.SMTPException as error:
            _abort(client)
            raise replies.error_of(error) from error
        except OSError as error:
            _abort(client)
            where = self._settings.mail_address
            raise UnavailableError(f"the connection to the mail server {where} broke: {error}; retry later") from error
        except BaseException:  # A time-out: the connection may be mid-message.
            _abort(client)
            raise
        self._idle.append((client, time.monotonic()))
        return bounce

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


async def _sent(client: aiosmtplib.SMTP, mail: BuiltMail) -> Bounce | None:
    """Send the mail on this connection, and return its bounce; every other refusal is raised."""
    try:
        await client.sendmail(
            mail.sender.on_the_wire,
            mail.recipient.on_the_wire,
            mail.content,
            mail_options=["SMTPUTF8", "BODY=8BITMIME"] if mail.needs_smtputf8 else [],
        )
    except aiosmtplib.SMTPNotSupported as error:  # By the server's answer to EHLO; no mail was begun.
        if mail.sender.needs_smtputf8:
            problem = "it has no SMTPUTF8, which MAIL_FROM_ADDRESS needs; change that setting"
            raise aiosmtplib.SMTPNotSupported(problem) from error
        return replies.NO_SMTPUTF8
    except aiosmtplib.SMTPException as error:
        bounce = replies.bounce(error)
        if bounce is None:
            raise
        return bounce
    return None


def _abort(client: aiosmtplib.SMTP) -> None:
    """Close the socket at once: a TLS shutdown would wait for the server, and outlive the loop."""
    transport = client.transport
    client.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
