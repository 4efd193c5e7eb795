"""JSON as it is answered and printed: what JSON or its writer cannot hold is written as text."""

from collections.abc import Callable
from typing import Any

import orjson

#: How deep the writer goes.
_DEEPEST = 200
#: What 64 bits hold, signed or not.
_LEAST, _MOST = -(2**63), 2**64 - 1


def dumps(value: object, *, default: Callable[[Any], Any] | None = None, option: int | None = None) -> bytes:
    """Write JSON; integers of more than 64 bits, and what is nested too deeply, as text.

    Raises:
        TypeError: the value has something that `default` does not write.
    """
    try:
        return orjson.dumps(value, default=default, option=option)
    except TypeError:
        return orjson.dumps(_writable(value, _DEEPEST), default=default, option=option)


def _writable(value: object, depth: int) -> object:
    if isinstance(value, dict | list) and depth == 0:
        return "… (nested too deeply)"
    if isinstance(value, dict):
        return {_writable(key, depth): _writable(content, depth - 1) for key, content in value.items()}
    if isinstance(value, list):
        return [_writable(content, depth - 1) for content in value]
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        return str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
