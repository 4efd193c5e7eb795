"""Schemas of earlier versions, which have no class any more: what the API serves of them in production.

They are copies of the frozen schemas in the packages of the contracts, because the production image has no tests.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def path_of(schema: Path) -> Path:
    """Return where the copy of a frozen schema is: `moneyflow/events/earlier/user.created.1.json`."""
    return Path("moneyflow") / schema.parent.name / "earlier" / schema.name


def write(root: Path, schema: Path) -> bool:
    """Copy the frozen schema of an earlier version, and return whether there was no such copy."""
    file, content = root / path_of(schema), _content(root / schema)
    if file.exists() and file.read_bytes() == content:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return True


def is_copied(root: Path, schema: Path) -> bool:
    """Return whether the API serves the frozen schema of an earlier version."""
    file = root / path_of(schema)
    return file.exists() and file.read_bytes() == _content(root / schema)


def strays(root: Path, folder: str) -> Iterator[Path]:
    """Yield copies of schemas that are not frozen; `folder` is `events` or `jobs`."""
    for file in sorted((root / "moneyflow" / folder / "earlier").glob("*.json")):
        if not (root / "tests/contracts" / folder / file.name).exists():
            yield file.relative_to(root)


def _content(schema: Path) -> bytes:
    found: Mapping[str, Any] = orjson.loads(schema.read_bytes())
    kept = {name: value for name, value in found.items() if name not in {"$schema", "examples"}}
    return orjson.dumps(kept, option=_OPTIONS)
