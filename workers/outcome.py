"""What an error means for a job: tried again after a wait, or failed for good; and how it is told without secrets."""

import re
import traceback
from dataclasses import dataclass

from pydantic import SecretStr

from moneyflow.errors import InvalidInputError, NotFoundError, PermanentError, PoisonError
from moneyflow.jobs.base import RetryPolicy
from moneyflow.ledger.claim import Claim
from moneyflow.ledger.finish import Failure
from moneyflow.settings import Settings

#: Errors of the tree that no further try can mend. All else may be mended, an unknown error too.
PERMANENT = (PermanentError, InvalidInputError, NotFoundError, PoisonError)

_TRACEBACK_LIMIT = 8 * 1024
_MESSAGE_LIMIT = 2 * 1024
_SHORTEST_SECRET = 6
_SECRET_LIKE = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|authorization|bearer)\W{1,4}(?:(?:basic|bearer) )?)"
    r"([^\s'\",;)]+)"
)
#: A password in a URL, as in amqp://user:password@host.
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")

#: Dead letters hold no personal data; the domain stays, for it tells whose server refuses.
_MAIL_ADDRESS = re.compile(r"[^\s<>\"'(),:;@\[\]/]+@([\w-]+(?:\.[\w-]+)+)")


@dataclass(frozen=True)
class RetryIn:
    """Try again after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Fail:
    """Give up: the job goes to `jobs_failed`."""


def decide(error: BaseException, claim: Claim, policy: RetryPolicy) -> RetryIn | Fail:
    """Say what follows from an error in this try."""
    if isinstance(error, PERMANENT) or claim.attempt >= claim.max_attempts:
        return Fail()
    return RetryIn(policy.wait_seconds(claim.attempt))


class Redactor:
    """Tells an error in text that may be stored and sent: without secrets and personal addresses, and cut."""

    def __init__(self, settings: Settings) -> None:
        values = (value.get_secret_value() for _, value in settings if isinstance(value, SecretStr))
        self._secrets = sorted((v for v in values if len(v) >= _SHORTEST_SECRET), key=len, reverse=True)

    def tell(self, error: BaseException) -> Failure:
        """Return the error's class, message and traceback, redacted and cut."""
        lines = traceback.format_exception(error)
        return Failure(
            error_class=type(error).__name__,
            message=self._clean(_text(error))[:_MESSAGE_LIMIT],
            traceback=_last_bytes(self._clean("".join(lines)), _TRACEBACK_LIMIT),
        )

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _SECRET_LIKE.sub(r"\1***", _URL_PASSWORD.sub(r"\1***", text))
        text = _MAIL_ADDRESS.sub(r"***@\1", text)
        # Postgres's text and AMQP's headers take neither NUL nor half of a surrogate pair.
        return text.replace("\x00", "�").encode("utf-8", "replace").decode()


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error that cannot tell itself must not hide that the job failed
        return "(the error has no text)"


def _last_bytes(text: str, limit: int) -> str:
    """Keep the end, where the error stands, within `limit` bytes of UTF-8."""
    data = text.encode()
    return text if len(data) <= limit else data[-limit:].decode("utf-8", "ignore")
