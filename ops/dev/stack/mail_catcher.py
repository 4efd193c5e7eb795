"""`python -m ops.dev.stack.mail_catcher SMTP_PORT WEB_PORT`: accept every mail, send none, show all.

Its web port answers Mailpit's `GET /api/v1/messages` and `GET /api/v1/message/{ID}`, so one client reads both. Two
domains show refusals to a sender: `bounce.example` is always refused, `busy.example` the first two times.
"""

import asyncio
import email.policy
import html
import json
import sys
import threading
from collections import Counter, OrderedDict
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, Envelope, Session

_KEPT = 50_000
_LONGEST_PAGE = 1000
_SNIPPET = 120
_BUSY_TIMES = 2


class Mailbox:
    """The caught mails, newest last; the oldest are dropped above 50,000."""

    def __init__(self) -> None:
        self._mails: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0

    def add(self, content: bytes, recipients: list[str]) -> None:
        """Keep one mail."""
        message = BytesParser(policy=email.policy.SMTPUTF8).parsebytes(content)
        assert isinstance(message, EmailMessage)
        with self._lock:
            self._count += 1
            number = f"{self._count:012d}"
            self._mails[number] = _described(number, message, content, recipients)
            while len(self._mails) > _KEPT:
                self._mails.popitem(last=False)

    def page(self, start: int, limit: int) -> dict[str, Any]:
        """Return mails, newest first, as Mailpit lists them."""
        with self._lock:
            mails = list(islice(reversed(self._mails.values()), start, start + limit))
            total = len(self._mails)
        brief = ("ID", "MessageID", "From", "To", "Subject", "Created", "Snippet", "Size")
        messages = [{key: mail[key] for key in brief} for mail in mails]
        return {"total": total, "messages_count": total, "count": len(messages), "start": start, "messages": messages}

    def get(self, number: str) -> dict[str, Any] | None:
        """Return one mail with its texts."""
        with self._lock:
            return self._mails.get(number)

    def clear(self) -> None:
        """Delete all mails."""
        with self._lock:
            self._mails.clear()


class Catcher:
    """Handler of aiosmtpd, which calls it for each recipient and each mail; the method names are its own."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._attempts: Counter[str] = Counter()

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept the recipient, or refuse it by its domain."""
        domain = address.rpartition("@")[2].lower()
        if domain == "bounce.example":
            return "550 5.1.1 no such mailbox here"
        if domain == "busy.example":
            self._attempts[address] += 1
            if self._attempts[address] <= _BUSY_TIMES:
                return "451 4.7.1 busy, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail."""
        content = envelope.original_content
        assert isinstance(content, bytes)
        self._mailbox.add(content, envelope.rcpt_tos)
        return "250 OK: caught"


def serve_web(mailbox: Mailbox, port: int) -> ThreadingHTTPServer:  # noqa: C901 - one small class of small methods
    """Serve Mailpit's API and an HTML page, in threads."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            match url.path.strip("/").split("/"):
                case ["api", "v1", "messages"]:
                    limit = min(_number(query.get("limit"), 50), _LONGEST_PAGE)
                    self._json(mailbox.page(_number(query.get("start"), 0), limit))
                case ["api", "v1", "info"]:
                    self._json({"Version": "money-flow", "Messages": mailbox.page(0, 0)["total"]})
                case ["api", "v1", "message", number, *rest] if mail := mailbox.get(number):
                    if rest == ["raw"]:
                        self._send(200, mail["Raw"], "text/plain; charset=utf-8")
                    else:
                        self._json({key: value for key, value in mail.items() if key != "Raw"})
                case [""]:
                    self._html(_list_page(mailbox.page(0, 200)))
                case ["view", number] if mail := mailbox.get(number):
                    self._html(_mail_page(mail))
                case _:
                    self._send(404, b"{}", "application/json")

        def do_DELETE(self) -> None:
            mailbox.clear()
            self._send(200, b"ok", "text/plain")

        def _json(self, value: object) -> None:
            self._send(200, json.dumps(value).encode(), "application/json")

        def _html(self, body: str) -> None:
            head = '<!doctype html><meta charset="utf-8"><title>Caught mails</title>'
            style = "<style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
            style += "td{padding:.25rem 1rem .25rem 0}iframe{width:100%;height:34rem;border:1px solid #ccc}</style>"
            self._send(200, (head + style + body).encode(), "text/html; charset=utf-8")

        def _send(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # The client has closed the connection.
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log no requests: the log is for errors."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _described(number: str, message: EmailMessage, content: bytes, recipients: list[str]) -> dict[str, Any]:
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    text = plain.get_content() if plain else ""
    return {
        "ID": number,
        "MessageID": _readable(message.get("Message-ID", "")).strip("<>"),
        "From": _addresses(message, "From")[:1][0] if message.get("From") else {"Name": "", "Address": ""},
        "To": _addresses(message, "To"),
        "Bcc": [{"Name": "", "Address": address} for address in recipients],
        "Subject": _readable(message.get("Subject", "")),
        "Date": _readable(message.get("Date", "")),
        "Created": datetime.now(UTC).isoformat(),
        "Snippet": " ".join(text.split())[:_SNIPPET],
        "Size": len(content),
        "Text": text,
        "HTML": rich.get_content() if rich else "",
        "Raw": content,
    }


def _addresses(message: EmailMessage, header: str) -> list[dict[str, str]]:
    value = message.get(header)
    found = getattr(value, "addresses", ())
    return [{"Name": _readable(address.display_name), "Address": _readable(address.addr_spec)} for address in found]


def _readable(text: object) -> str:
    """Return a header's text; Python's parser keeps raw UTF-8 (RFC 6532) as halves of surrogate pairs."""
    return str(text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() else otherwise


def _list_page(page: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(mail['Created'][11:19])}"
        f"<td>{html.escape(mail['To'][0]['Address'] if mail['To'] else '')}"
        f'<td><a href="/view/{mail["ID"]}">{html.escape(mail["Subject"])}</a>'
        for mail in page["messages"]
    )
    return f"<h1>{page['total']} caught mails</h1><table>{rows}</table>"


def _mail_page(mail: dict[str, Any]) -> str:
    # SECURITY: a mail's HTML is shown in a frame without scripts; its links open in a new tab.
    content = html.escape('<base target="_blank">' + mail["HTML"])
    frame = f'<iframe sandbox="allow-popups" srcdoc="{content}"></iframe>'
    to = ", ".join(f"{html.escape(person['Name'])} &lt;{html.escape(person['Address'])}&gt;" for person in mail["To"])
    text = f"<pre>{html.escape(mail['Text'])}</pre>"
    return f'<p><a href="/">all mails</a></p><h1>{html.escape(mail["Subject"])}</h1><p>to {to}</p>{frame}{text}'


class _Server(UnthreadedController):
    def factory(self) -> SMTP:
        return SMTP(self.handler, enable_SMTPUTF8=True, ident="money-flow mail catcher", data_size_limit=2**25)


def main() -> int:
    """Catch mails until killed."""
    smtp_port, web_port = int(sys.argv[1]), int(sys.argv[2])
    mailbox = Mailbox()
    serve_web(mailbox, web_port)
    loop = asyncio.new_event_loop()
    controller = _Server(Catcher(mailbox), hostname="127.0.0.1", port=smtp_port, loop=loop)
    controller.begin()  # type: ignore[no-untyped-call]
    loop.run_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
