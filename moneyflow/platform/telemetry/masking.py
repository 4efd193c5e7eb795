"""Masking: removes secrets and mail addresses from values that operators see."""

import re
from typing import Any

MASK = "***"
#: A key of a secret, in any spelling: `password`, `apiKey`, `card_number`, `X-Auth-Token`.
_SECRET_KEY = re.compile(
    r"(?i)pass(?:word|wd|phrase|code)|secret|token|api[_-]?key|private[_-]?key|credential|authorization|bearer|cookie"
    r"|session[_-]?id|card[_-]?number|\bcvc\b|\bcvv\b|\biban\b|(?:^|[_-])pin$"
)
#: The domain stays, because it shows which server refuses.
_MAIL_ADDRESS = re.compile(r"[^\s<>\"'(),:;@\[\]/]+@([\w-]+(?:\.[\w-]+)+)")
#: A password in a URL, as in amqp://user:password@host.
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")


def masked(value: Any) -> Any:
    """Return a JSON value with every secret, mail address and password of a URL in it masked."""
    if isinstance(value, dict):
        return {key: MASK if _hides(key, content) else masked(content) for key, content in value.items()}
    if isinstance(value, list):
        return [masked(content) for content in value]
    return masked_text(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """Return the text with every mail address and password of a URL in it masked."""
    return _MAIL_ADDRESS.sub(rf"{MASK}@\1", _URL_PASSWORD.sub(rf"\1{MASK}", text))


def _hides(key: str, content: Any) -> bool:
    return content is not None and not isinstance(content, bool) and _SECRET_KEY.search(key) is not None
