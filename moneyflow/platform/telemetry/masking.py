"""Masking: removes secrets and mail addresses from texts and values that operators see, and cuts long ones.

A text is cut before a pattern reads it, and a little after the cut is read too: a secret that the cut would split is
masked whole.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice
from typing import Any

from moneyflow.platform.patterns import IGNORE_CASE, Pattern

MASK = "***"
#: Characters of a text within a value that are shown.
LONGEST_TEXT = 32 * 1024
#: Characters after a cut that are read: more than an address or a token has.
_AFTER_CUT = 1024
#: Values within a value that are shown, characters of all its texts together, and how deep it may be.
_MOST_VALUES = 2_000
_MOST_CHARACTERS = 256 * 1024
_DEEPEST = 64
#: Characters of a key that can be judged; a longer one is no field's name.
_LONGEST_KEY = 100
#: Characters that a pattern reads: the longest text, and what follows its cut.
_LONGEST_READ = 64 * 1024
#: A key of a secret, in any spelling: `password`, `apiKey`, `card_number`, `X-Auth-Token`.
_SECRET_KEY = Pattern(
    r"pass(?:word|wd|phrase|code)|secret|token|api[_-]?key|private[_-]?key|credential|authorization|bearer|cookie"
    r"|session[_-]?id|card[_-]?number|\bcvc\b|\bcvv\b|\biban\b|(?:^|[_-])pin$",
    longest=_LONGEST_KEY,
    flags=IGNORE_CASE,
)
#: A value after the name of a secret, as in `token=…` or `Authorization: Bearer …`.
_SECRET_VALUE = Pattern(
    r"[PSTAB](?:(?<=P)ASSW(?:OR)?D|(?<=S)ECRET|(?<=T)OKEN|(?<=A)PI[_-]?KEY|(?<=A)UTHORIZATION|(?<=B)EARER)"
    r"\W{1,4}(?:(?:BASIC|BEARER) )?([^\s'\",;)]+)",
    longest=_LONGEST_READ,
    flags=IGNORE_CASE,
)
#: An address; only what is before the @ is a secret, because the domain shows which server refuses. It starts where no
#: other could have started, so that a long text without an @ is read once.
_MAIL_ADDRESS = Pattern(
    r"(?<![^\s<>\"'(),:;@\[\]/])[^\s<>\"'(),:;@\[\]/]+@([\w-]+(?:\.[\w-]+)+)", longest=_LONGEST_READ
)
#: A password in a URL, as in amqp://user:password@host.
_URL_PASSWORD = Pattern(r"://[^\s/:@]*:([^\s/@]+)(@?)", longest=_LONGEST_READ)

#: Start and end of what is masked.
_Span = tuple[int, int]


def masked(value: Any) -> Any:
    """Return a JSON value with every secret, mail address and password of a URL in it masked.

    Of a value that is too large to be read it has the first 2,000 values, and the beginnings of long texts.
    """
    return _Masking().of(value)


def masked_text(text: str, *, limit: int = LONGEST_TEXT, secrets: Collection[str] = ()) -> str:
    """Return the first `limit` characters of a text, with every mail address and every secret in them masked.

    Secrets are `secrets`, passwords of URLs, and what follows a name such as `password=`.
    """
    after_cut = max(_AFTER_CUT, *map(len, secrets)) if secrets else _AFTER_CUT
    read = text[: min(limit + after_cut, _LONGEST_READ)]
    spans = chain(_secrets(read, secrets), _patterns(read, is_cut=len(read) < len(text)))
    return _rendered(read, spans, limit)


def _patterns(text: str, *, is_cut: bool) -> Iterator[_Span]:
    for found in _SECRET_VALUE.finditer(text):
        yield found.span(1)
    for found in _MAIL_ADDRESS.finditer(text):
        yield found.start(), found.start(1) - 1
    for found in _URL_PASSWORD.finditer(text):
        if found[2] or (is_cut and found.end() == len(text)):
            yield found.span(1)


def _secrets(text: str, secrets: Collection[str]) -> Iterator[_Span]:
    for secret in secrets:
        start = text.find(secret)
        while start >= 0:
            yield start, start + len(secret)
            start = text.find(secret, start + len(secret))


def _rendered(text: str, spans: Iterable[_Span], limit: int) -> str:
    """Return the text up to `limit` with the spans masked, those that overlap by one mask."""
    parts: list[str] = []
    position = 0
    for start, end in sorted(spans):
        if start >= limit:
            break
        if start >= position:
            parts += [text[position:start], MASK]
        position = max(position, end)
    return "".join([*parts, text[position:limit]])


class _Masking:
    """The masking of one value: counts what it has shown."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES
        self._characters_left = _MOST_CHARACTERS

    def of(self, value: Any, depth: int = 0) -> Any:
        self._left -= 1
        if isinstance(value, dict | list) and depth == _DEEPEST:
            return "… (too deep to be shown)"
        if isinstance(value, dict):
            return self._object(value, depth + 1)
        if isinstance(value, list):
            return self._array(value, depth + 1)
        return self._text(value) if isinstance(value, str) else value

    def _object(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        shown = {
            key: MASK if _hides(key, content) else self.of(content, depth)
            for key, content in islice(value.items(), max(self._left, 0))
        }
        left_out = len(value) - len(shown)
        return {**shown, "…": f"{left_out} more"} if left_out else shown

    def _array(self, value: list[Any], depth: int) -> list[Any]:
        shown = [self.of(content, depth) for content in islice(value, max(self._left, 0))]
        left_out = len(value) - len(shown)
        return [*shown, f"… ({left_out} more)"] if left_out else shown

    def _text(self, text: str) -> str:
        limit = min(LONGEST_TEXT, self._characters_left)
        self._characters_left -= min(len(text), limit)
        left_out = len(text) - limit
        return masked_text(text, limit=limit) + (f"… ({left_out} more characters)" if left_out > 0 else "")


def _hides(key: str, content: Any) -> bool:
    if content is None or isinstance(content, bool):
        return False
    return len(key) > _LONGEST_KEY or _SECRET_KEY.search(key) is not None
