"""Logging: every line of a process, libraries included, is one JSON object on stdout."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import orjson
import structlog

from moneyflow.platform.telemetry import tracebacks
from moneyflow.platform.telemetry.origin import add_to_line
from moneyflow.platform.telemetry.repeats import REPEATED, LibraryLines, Repeats

T = TypeVar("T")

#: Ids in one log line, which stays readable.
_ITEMS_A_LINE = 50


def configure_logging(process: str, *, level: str = "info") -> None:
    """Configure this process and its libraries to log JSON lines to stdout, repeated ones thinned."""
    repeats = Repeats()
    shared: list[structlog.types.Processor] = [
        add_to_line,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process),
        structlog.processors.ExceptionRenderer(_traceback),
    ]
    structlog.configure(
        processors=[structlog.processors.add_log_level, repeats, *shared, _with_summaries(repeats)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # PERF: directly to the stream. By the standard library a line takes three times as long, and the API writes
        # one for each request.
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(LibraryLines(repeats))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.ExtraAdder([REPEATED]),
                structlog.processors.add_log_level,
                *shared,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_serialize_text),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # While a broker is down its client logs it several times a second; our own lines log it once, with what follows.
    for noisy in ("pika", "aiokafka"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if root.level > logging.DEBUG else logging.DEBUG)
    logging.getLogger("dramatiq").setLevel(max(logging.WARNING, root.level))
    # SECURITY: at debug the client of buckets logs each request with its signature, and addresses that open a file.
    for name in ("boto3", "botocore", "s3transfer"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def in_lines(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the items in parts that stay readable in one log line."""
    for start in range(0, len(items), _ITEMS_A_LINE):
        yield items[start : start + _ITEMS_A_LINE]


def _with_summaries(repeats: Repeats) -> Callable[[object, str, structlog.types.EventDict], bytes]:
    """Return what renders a line, after the summaries of the periods of repeated lines that have ended."""

    def render(_: object, __: str, line: structlog.types.EventDict) -> bytes:
        about = {name: line[name] for name in ("timestamp", "process") if name in line}
        return b"\n".join(map(_serialize, [*({**summary, **about} for summary in repeats.summaries()), line]))

    return render


def _named(process: str) -> structlog.types.Processor:
    def add(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event["process"] = process
        return event

    return add


def _traceback(exc_info: structlog.typing.ExcInfo) -> str:
    return tracebacks.formatted(exc_info[1]).rstrip()


def _serialize(value: object, **_: object) -> bytes:
    return orjson.dumps(value, default=str)


def _serialize_text(value: object, **_: object) -> str:
    return _serialize(value).decode()
