"""Redaction: an error as text that may be stored and sent, without secrets and mail addresses, and cut."""

from pydantic import SecretStr

from moneyflow.platform.bounds import storable
from moneyflow.platform.jobs.store.completion import Failure
from moneyflow.platform.settings import Section
from moneyflow.platform.telemetry import tracebacks
from moneyflow.platform.telemetry.error_groups import error_group
from moneyflow.platform.telemetry.masking import masked_text
from workers.outcome import EndedByHandlerError

_TRACEBACK_LIMIT = 8 * 1024
_MESSAGE_LIMIT = 2 * 1024
_CLASS_LIMIT = 200
_SHORTEST_SECRET = 6


class Redactor:
    """Replaces this process's secrets in the text of errors."""

    def __init__(self, settings: Section) -> None:
        values = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
        # A traceback may hold one line of a key alone.
        parts = {part for value in values for part in (value, *value.splitlines())}
        self._secrets = [part for part in parts if len(part) >= _SHORTEST_SECRET]

    def failure(self, error: BaseException) -> Failure:
        """Return the error's class, message, group and traceback, redacted and cut."""
        message = self._head(tracebacks.text_of(error), _MESSAGE_LIMIT)
        if isinstance(error, EndedByHandlerError):
            return Failure(error_class=type(error.ending).__name__, message=message, group=error_group(message))
        return Failure(
            error_class=type(error).__name__[:_CLASS_LIMIT],
            message=message,
            group=error_group(message),
            traceback=_last_bytes(tracebacks.formatted(error, cut=self._head), _TRACEBACK_LIMIT),
        )

    def _head(self, text: str, limit: int) -> str:
        """Return the beginning of a text, cut before it is redacted."""
        return storable(masked_text(text, limit=limit, secrets=self._secrets)[:limit])


def _last_bytes(text: str, limit: int) -> str:
    """Return the end, which has the error, within `limit` bytes of UTF-8."""
    data = text.encode()
    return text if len(data) <= limit else data[-limit:].decode("utf-8", "ignore")
