"""Text from outside is read by bounded patterns alone: a megabyte of any shape takes less than 50 ms."""

import ast
import importlib
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiosmtplib import SMTPDataError

from api import access
from moneyflow.accounts.names import check_person
from moneyflow.analytics.changes import Changes
from moneyflow.gateways.crm import hubspot_errors
from moneyflow.gateways.mail import Recipient, replies
from moneyflow.gateways.mail.message import build
from moneyflow.gateways.storage.file import FileStorage
from moneyflow.gateways.storage.keys import is_key, new_key
from moneyflow.money.amounts import read_amount
from moneyflow.money.days import read_day
from moneyflow.money.texts import note_text, one_line
from moneyflow.money.transaction_filters import Filters
from moneyflow.payments.sources import token
from moneyflow.platform import suggestions
from moneyflow.platform.brokers import job_message
from moneyflow.platform.connections import leaves_state
from moneyflow.platform.errors import InvalidInputError, MoneyFlowError, PoisonError
from moneyflow.platform.events import envelope
from moneyflow.platform.events.envelope import Envelope
from moneyflow.platform.http import etags, ranges
from moneyflow.platform.http.idempotency import IdempotencyKeys
from moneyflow.platform.ids import new_id, parse_id
from moneyflow.platform.jobs import limits
from moneyflow.platform.jobs.result_file import File
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.telemetry import fingerprints, masking, origin, tracebacks
from moneyflow.platform.telemetry.error_groups import error_group
from moneyflow.settings import load_all
from moneyflow.statements.imports import file_name
from moneyflow.statements.reading import amounts, dates, headers, ofx, rows
from moneyflow.statements.reading.mapping import OfxPlan
from moneyflow.statements.writing import csv_text
from ops.cli import filters, tables, times
from workers.execution.redaction import Redactor

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("moneyflow", "api", "workers", "consumers", "mail_templates", "ops")
_SIZE = 1_000_000
#: Seconds of the processor for a megabyte; of several runs the best.
_BOUND_SECONDS = 0.05
_RUNS = 5
#: A text grows step by step, so that a pattern that needs quadratic time or worse is found and does not hang.
_SIZES = (16, 20, 24, 28, 32, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, _SIZE)

#: What is repeated to a megabyte, before an end that few patterns match.
_UNITS = (
    "a", "A", "1", "=", "@", "a@", "a@b.", "a.b@", ".", "-", "_", "\n", " ", "\t", "'", '"', "\"'", "''", "f", "0x",
    "01234567-", "deadbeef", "http://", "://a:", "://a:b@", "a:", "password=", "token", "secret: ", "bearer ", "api_",
    "é", "😀", "\u0663", "\x00", "\ud800", "{", "[", "\\", 'W/"a",', "1.", "1:", ";a=b", "/", "((", "<<a>>",
    "-- name: a\n-- b\n", "a, ",
)  # fmt: skip
_END = "!"


_EVENT = {"specversion": "1.0", "id": "1", "source": "/x", "type": "x.y", "subject": "1", "data": {}}


@dataclass(frozen=True, kw_only=True)
class _Rendered:
    subject: str
    text: str
    html: str


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """A reader of a value that is made of the text; the making is the test's own, and is not measured."""

    prepare: Callable[[str], object]
    read: Callable[[object], object]

    def __call__(self, text: str) -> object:
        return self.read(self.prepare(text))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _error(text: str) -> Exception:
    error = ExceptionGroup(text, [ValueError(text), KeyError(text)])
    error.__cause__ = OSError(text)
    error.add_note(text)
    return error


def _mail(text: str) -> object:
    rendered, sender = _Rendered(subject="x", text="x", html="x"), Recipient(name="", address="a@b.example")
    return build(rendered, sender=sender, to=Recipient(name=text, address=text), job_id=new_id())


def _suffixed(text: str) -> None:
    with suppress(ValueError):
        new_key("private", text)


def _incoming(text: str) -> None:
    with suppress(ValueError):
        FileStorage(Path("storage/none")).delete(text)


def _card_token(text: str) -> None:
    with suppress(ValueError):
        token(text)


def _row(text: str) -> None:
    for read in (amounts.split, lambda text: dates.read_date(text, None), dates.is_date, amounts.currency_in):
        with suppress(rows.RowError):
            read(text)


def _ofx(text: str) -> None:
    content = text.encode("utf-8", "replace")
    with suppress(InvalidInputError):
        ofx.plan_ofx(b"OFXHEADER:100\n" + content + b"<OFX>", currency=None)
    with suppress(InvalidInputError):
        frame = ofx._frame(b"", content + b"<CURDEF>")
        ofx._enter(ofx._Statement(None), frame, OfxPlan(encoding="utf_8", currency=None))


def _counted(text: str) -> None:
    state = {"kind": "income", "amount": "1", "currency": text, "date": "2026-11-28", "category_id": None}
    ids = dict.fromkeys(("user_id", "transaction_id"), "0197a3c4-5b1e-7c8d-9e0f-1a2b3c4d5e6f")
    for data in (ids | state, ids | state | {"currency": "EUR", "amount": text}):
        event = Envelope(
            id="1", source="/test", type="transaction.created", subject="1", time=datetime(2026, 11, 28, tzinfo=UTC),
            actor_id=None, correlation_id=None, data=data, version=1, sequence=1,
        )  # fmt: skip
        with suppress(PoisonError):
            Changes().add(event)


def _name_of_a_file(text: str) -> None:
    with suppress(InvalidInputError):
        file_name(text)


_REDACTOR = Redactor(
    load_all({"SECRET_KEY": "k" * 40, "POSTGRES_PASSWORD": "-----BEGIN KEY-----\n" + "MIIBsecretkey\n" * 20})
)
_MANY_KEYS = [{f"key_{number}": "text"} for number in range(50_000)]
_STATE = ranges.State(etag='"a"', modified=datetime(2026, 11, 28, tzinfo=UTC))
_KEYS = IdempotencyKeys(secret_key="k" * 40)

#: What reads text from outside, by the module that declares patterns.
_READERS: dict[str, list[Callable[[str], object]]] = {
    "api.access": [access._REQUEST_ID.fullmatch],
    "moneyflow.gateways.crm.hubspot_errors": [
        lambda text: hubspot_errors._refusal({"category": text, "errors": [{"code": text, "in": text}]}, otherwise="")
    ],
    "moneyflow.payments.sources": [_card_token, lambda text: _card_token("tok_" + text)],
    "moneyflow.statements.imports": [_name_of_a_file],
    "moneyflow.statements.reading.amounts": [_row],
    "moneyflow.statements.reading.dates": [_row],
    "moneyflow.statements.reading.headers": [headers.plain, headers.currency_of],
    "moneyflow.statements.reading.ofx": [_ofx],
    "moneyflow.statements.reading.rows": [rows.one_line, rows.shown],
    "moneyflow.platform.brokers.job_message": [
        lambda text: job_message.decode(text.encode("utf-8", "replace")),
        lambda text: job_message.decode(job_message.encode(new_id(), _encodable(text), timestamp_milliseconds=1)),
    ],
    "moneyflow.platform.http.etags": [
        lambda text: etags.is_listed('"1"', if_none_match=text),
        lambda text: etags.require_match('"1"', if_match=text),
    ],
    "moneyflow.platform.http.ranges": [
        lambda text: ranges.part_of(9, _STATE, range_header=text, if_range=None),
        lambda text: ranges.part_of(9, _STATE, range_header="bytes=" + text, if_range=text),
        lambda text: ranges.is_known(_STATE, if_none_match=None, if_modified_since=text),
    ],
    "moneyflow.platform.http.idempotency": [lambda text: _KEYS.request(key=text, scope="x", content=b"")],
    "moneyflow.platform.jobs.limits": [lambda text: limits.Limit(name=text, concurrency=1)],
    "moneyflow.platform.jobs.result_file": [
        lambda text: File(name=text, content=b"").check(),
        lambda text: File(name="a", content=b"", content_type=text).check(),
    ],
    "moneyflow.gateways.storage.keys": [
        is_key,
        lambda text: is_key("private/ab/" + text),
        lambda text: _suffixed("." + text),
    ],
    "moneyflow.gateways.storage.file": [lambda text: _incoming("incoming/" + text)],
    "moneyflow.gateways.mail.headers": [_mail],
    "moneyflow.gateways.mail.reading": [_mail],
    "moneyflow.gateways.mail.replies": [
        lambda text: replies.bounce(SMTPDataError(550, text)),
        lambda text: replies.error_of(SMTPDataError(550, text)),
    ],
    "moneyflow.money.amounts": [lambda text: read_amount(text, "EUR")],
    "moneyflow.money.days": [read_day],
    "moneyflow.money.texts": [one_line, note_text],
    "moneyflow.accounts.names": [lambda text: check_person(email="a@b.example", name=text)],
    "moneyflow.statements.writing.csv_text": [csv_text._safe],
    "moneyflow.money.transaction_filters": [lambda text: Filters(text=text).parameters()],
    "moneyflow.platform.connections": [leaves_state],
    "moneyflow.analytics.changes": [_counted],
    "moneyflow.platform.events.envelope": [
        lambda text: envelope.read(orjson.dumps({**_EVENT, "dataschema": _encodable(text)})),
        lambda text: envelope.read(orjson.dumps({**_EVENT, "sequence": _encodable(text)})),
    ],
    "moneyflow.platform.telemetry.masking": [
        masking.masked_text,
        masking.masked,
        lambda text: masking.masked({text: text, "list": [text, [text]]}),
        _Prepared(prepare=list, read=masking.masked),
        lambda text: masking.masked(text.split("a", 100_000)),
    ],
    "moneyflow.platform.telemetry.origin": [origin.child_traceparent],
    "ops.cli.times": [
        lambda text: times.span(text, option="--x"),
        lambda text: times.moment(text, option="--x"),
        lambda text: times.moment_or_ago(text, option="--x"),
        lambda text: times.rate_per_second(text, option="--x"),
    ],
    "ops.cli.filters": [lambda text: filters.filter_from(priority=[text])],
    "moneyflow.platform.telemetry.fingerprints": [
        fingerprints.without_values,
        lambda text: fingerprints.fingerprint_of(ValueError(text)),
        error_group,
        lambda text: _REDACTOR.failure(ValueError(text)),
        lambda text: _REDACTOR.failure(_error(text)),
        lambda text: tracebacks.formatted(_error(text)),
    ],
}
#: What reads the text next to 50,000 values, of which 2,000 are read: milliseconds, whatever the text is.
_READERS_OF_MANY: list[Callable[[str], object]] = [
    lambda text: masking.masked([*_MANY_KEYS, text]),
    lambda text: masking.masked([[[_MANY_KEYS, text]], text]),
]
#: What reads text from outside without a pattern.
_OTHER_READERS: list[Callable[[str], object]] = [
    parse_id,
    tables.plain,
    lambda text: suggestions.nearest(text, ("send_email", "process_payment")),
    lambda text: envelope.read(text.encode("utf-8", "replace")),
    lambda text: envelope.read(orjson.dumps({**_EVENT, "time": _encodable(text)})),
]
#: Modules whose patterns read the text of this repository and of its operators alone.
_OWN_TEXT = {
    "moneyflow.platform.events.contract", "moneyflow.platform.events.topics", "moneyflow.platform.failpoints",
    "moneyflow.platform.jobs.contract", "moneyflow.platform.jobs.schedules", "moneyflow.platform.queries",
    "moneyflow.platform.settings.loading", "moneyflow.platform.settings.strength", "moneyflow.settings",
    "moneyflow.gateways.crm.settings", "ops.dev.demo.crowd", "ops.dev.demo.exports", "ops.dev.scaffold.event",
    "ops.dev.scaffold.job", "ops.dev.scaffold.sink",
}  # fmt: skip


def _sources(*, naming: str = "") -> Iterator[tuple[str, ast.Module]]:
    """Yield the modules of the product that have this text, each with its name."""
    for package in _PACKAGES:
        for path in (_ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
            source = path.read_text(encoding="utf-8")
            if naming in source:
                yield name, ast.parse(source)


@cache
def _made() -> dict[str, int]:
    """Return how many patterns each module makes, where it makes any."""
    calls = Counter(
        name
        for name, module in _sources(naming="Pattern(")
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Pattern"
    )
    return dict(calls)


def _declared() -> dict[str, list[Pattern]]:
    """Return the patterns that are constants, by their modules."""
    constants = {name: vars(importlib.import_module(name)).values() for name in _made()}
    return {name: [value for value in values if isinstance(value, Pattern)] for name, values in constants.items()}


_PATTERNS = [(name, pattern) for name, patterns in _declared().items() for pattern in patterns]


def _all(pattern: Pattern) -> Callable[[str], object]:
    return lambda text: list(pattern.finditer(text))


def _seconds(read: Callable[[str], object], text: str) -> float:
    """Return the seconds that a read of the text takes, the best of several runs where the first is over the bound."""
    given: Any = read.prepare(text) if isinstance(read, _Prepared) else text
    call: Callable[[Any], object] = read.read if isinstance(read, _Prepared) else read
    best = float("inf")
    for _ in range(_RUNS):
        started = time.thread_time()
        with suppress(MoneyFlowError, ValueError):  # That it refuses the text is an answer.
            call(given)
        best = min(best, time.thread_time() - started)
        if best < _BOUND_SECONDS:
            break
    return best


def _too_slow(read: Callable[[str], object], units: Iterable[str] = _UNITS) -> list[str]:
    """Return the shapes of which a megabyte, or less of it, takes too long."""
    found = []
    for unit in units:
        for size in _SIZES:
            seconds = _seconds(read, unit * (size // len(unit)) + _END)
            if seconds >= _BOUND_SECONDS:
                found.append(f"{size} characters of {unit!r} take {seconds:.3f} s")
                break
    return found


@pytest.mark.parametrize("pattern", [pattern for _, pattern in _PATTERNS], ids=repr)
def test_every_pattern_reads_a_megabyte_of_any_shape_in_fifty_milliseconds(pattern: Pattern) -> None:
    own = {unit for unit in re.findall(r"[A-Za-z]+|[^A-Za-z\\]", pattern.expression) if unit not in _UNITS}

    for read in (
        pattern.fullmatch,
        pattern.search,
        lambda text: pattern.sub("", text),
        lambda text: list(pattern.finditer(text)),
    ):
        assert _too_slow(read, (*_UNITS, *own)) == []


@pytest.mark.parametrize("read", [*itertools.chain.from_iterable(_READERS.values()), *_OTHER_READERS])
def test_what_reads_text_from_outside_reads_a_megabyte_of_any_shape_in_fifty_milliseconds(
    read: Callable[[str], object],
) -> None:
    assert _too_slow(read) == []


@pytest.mark.parametrize("read", _READERS_OF_MANY)
def test_what_reads_many_values_reads_them_in_fifty_milliseconds(read: Callable[[str], object]) -> None:
    assert _too_slow(read, ("a", "a@b.", "password=")) == []


@pytest.mark.parametrize("expression", [r"[^ ]+@", r"(a|aa)+b", r"\s+\n", r'"[^@]*@'], ids=repr)
def test_a_pattern_that_needs_quadratic_time_or_more_is_found(expression: str) -> None:
    slow = Pattern(expression, longest=_SIZE)

    assert _too_slow(slow.search, ("a", " ", '"')) != []


def test_no_module_reads_text_by_other_patterns() -> None:
    for name, module in _sources(naming="import"):
        imports = [node for node in ast.walk(module) if isinstance(node, ast.Import)]
        imported = {alias.name for node in imports for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(module) if isinstance(node, ast.ImportFrom)}

        assert not imported & {"re", "regex", "fnmatch"} or name == "moneyflow.platform.patterns", name


def test_every_pattern_is_a_constant_of_its_module_where_the_tests_above_find_it() -> None:
    assert {name: len(patterns) for name, patterns in _declared().items()} == _made()
    assert len(_PATTERNS) > 20


def test_every_module_with_patterns_is_listed_with_what_reads_by_them() -> None:
    assert set(_made()) == {*_READERS, *_OWN_TEXT}


def test_no_query_reads_text_by_a_pattern() -> None:
    files = [path for package in _PACKAGES for path in (_ROOT / package).rglob("*.sql")]
    pattern = re.compile(r"\bregexp_|\bsimilar\s+to\b|!?~\*?\s|\bsubstring\([^)]*\bfrom\s+'", re.IGNORECASE)

    assert len(files) > 20
    for path in files:
        code = "\n".join(line.partition("--")[0] for line in path.read_text(encoding="utf-8").splitlines())
        assert pattern.search(code) is None, path
