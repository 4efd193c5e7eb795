"""Loaders: read values that Postgres stores and Python cannot represent as the nearest that it can.

A row with a time such as `infinity` is then shown with the last time that Python has, and breaks no listing.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.json import set_json_loads

#: By type: the first and the last value that Python has.
_ENDS: dict[str, tuple[Any, Any]] = {
    "timestamptz": (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
    "timestamp": (datetime.min, datetime.max),  # noqa: DTZ901 - this type has no time zone
    "date": (date.min, date.max),
    "interval": (timedelta.min, timedelta.max),
}
_TOO_DEEP = {"unreadable": "it is nested too deeply to be read"}


def install() -> None:
    """Let every connection of this process read by these loaders; idempotent."""
    for name, ends in _ENDS.items():
        oid = psycopg.adapters.types[name].oid
        loader = psycopg.adapters.get_loader(oid, Format.TEXT)
        if loader is not None and not hasattr(loader, "ends"):
            psycopg.adapters.register_loader(name, _within(loader, ends))
    set_json_loads(loads)


def loads(data: str | bytes) -> Any:
    """Read JSON; a number with too many digits for Python as text."""
    try:
        try:
            return json.loads(data)
        except ValueError:  # More digits than `int` reads: it would need quadratic time.
            return json.loads(data, parse_int=_integer)
    except RecursionError:
        return _TOO_DEEP


def _integer(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits


def _within(loader: "type[Any]", its_ends: Sequence[Any]) -> type[Loader]:
    """Return a loader that reads what `loader` cannot as one of the ends."""

    class Within(Loader):
        ends = its_ends

        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            # PERF: psycopg's own, written in C, reads the others.
            self._load = loader(oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._load(data)
            except (psycopg.DataError, OverflowError, ValueError):
                text = bytes(data)
                return self.ends[0] if text.startswith(b"-") or text.endswith(b"BC") else self.ends[1]

    return Within
