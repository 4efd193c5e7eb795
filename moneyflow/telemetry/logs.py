"""Every log line of a process, those of libraries too, as one JSON object on stdout."""

import logging
import sys

import orjson
import structlog


def configure_logging(process: str, *, level: str = "info") -> None:
    """Send every log line of this process to stdout as one JSON object, those of libraries too."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer(serializer=_serialize)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # While a broker is away its client says so many times a second; our own lines say it once and with what follows.
    for noisy in ("pika", "aiokafka"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if root.level > logging.DEBUG else logging.DEBUG)
    logging.getLogger("dramatiq").setLevel(max(logging.WARNING, root.level))


def _named(process: str) -> structlog.types.Processor:
    def add(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event["process"] = process
        return event

    return add


def _serialize(value: object, **_: object) -> str:
    return orjson.dumps(value, default=str).decode()
