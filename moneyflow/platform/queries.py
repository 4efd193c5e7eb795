"""Named queries: SQL in `.sql` files next to the code that runs it, and arrays as parameters of it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import LiteralString, cast
from uuid import UUID

from moneyflow.platform.patterns import DOT_ALL, MULTILINE, Match, Pattern

#: Characters of the longest `.sql` file or statement.
_LONGEST = 100_000
_BLOCK = Pattern(
    r"^-- (name|fragment): (\w+)\n((?:-- [^\n]*\n)+)(.*?)(?=^-- (?:name|fragment): |\Z)",
    longest=_LONGEST,
    flags=MULTILINE | DOT_ALL,
)
_FRAGMENT = Pattern(r"<<(\w+)>>", longest=_LONGEST)


def load_queries(path: Path, *, fragments: Path | Iterable[Path] = ()) -> Mapping[str, LiteralString]:
    """Read the named queries of an `.sql` file: `-- name: x`, one or more lines of description, the statement.

    `fragments` are files of `-- fragment: y` blocks that several statements share; a statement includes one as `<<y>>`.

    Raises:
        ValueError: a query has no name or description, two have the same name, or a fragment is not in the file.
    """
    files = [fragments] if isinstance(fragments, Path) else fragments
    shared = {name: sql for file in files for name, sql in load_fragments(file).items()}
    queries = {name: _expand(path, sql, shared).removesuffix(";") for name, sql in _blocks(path, "name").items()}
    return cast("Mapping[str, LiteralString]", queries)


def load_fragments(path: Path) -> Mapping[str, str]:
    """Read a file of `-- fragment: y` blocks by their names, each with one or more lines of description.

    Raises:
        ValueError: a fragment has no name or description, two have the same name, or the file has queries too.
    """
    return _blocks(path, "fragment")


def array(values: Iterable[UUID | int | str]) -> str:
    """Return ids or numbers as an array parameter. PERF: psycopg's own adapter takes five times as long."""
    return "{" + ",".join(map(str, values)) + "}"


def _blocks(path: Path, kind: str) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    blocks = {found[2]: found[4].strip() for found in _BLOCK.finditer(text) if found[1] == kind}
    if len(blocks) != text.count("-- name:") + text.count("-- fragment:"):
        raise ValueError(f"{path.name}: each query needs a unique name and a line of description above it")
    return blocks


def _expand(path: Path, sql: str, fragments: Mapping[str, str]) -> str:
    def fragment(found: Match) -> str:
        if found[1] not in fragments:
            raise ValueError(f"{path.name}: there is no fragment {found[1]}; there are {', '.join(sorted(fragments))}")
        return _expand(path, fragments[found[1]], fragments)

    return _FRAGMENT.sub(fragment, sql)
