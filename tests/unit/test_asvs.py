"""The table of OWASP ASVS: every test that it names exists, and every requirement says what holds it."""

import ast
import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_TABLE = (_ROOT / "ops" / "runbooks" / "asvs.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`((?:unit|integration|e2e|chaos)/test_\w+\.py)(?:::(test_\w+))?`")


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def _missing(table: str) -> list[str]:
    """Return the tests that the table names and that do not exist."""
    found = []
    for file, name in _TEST.findall(table):
        path = _ROOT / "tests" / file
        if not path.exists() or (name and name not in _functions(path)):
            found.append(f"{file}::{name}")
    return found


def test_every_test_that_the_table_names_exists() -> None:
    assert len(_TEST.findall(_TABLE)) > 60
    assert _missing(_TABLE) == []
    assert _missing("`unit/test_asvs.py::test_that_is_not_there`, `e2e/test_nothing.py`") == [
        "unit/test_asvs.py::test_that_is_not_there", "e2e/test_nothing.py::",
    ]  # fmt: skip


def test_every_requirement_names_what_holds_it() -> None:
    rows = [line.strip("| ").split(" | ") for line in _TABLE.splitlines() if line.startswith("| V")]

    assert [row for row in rows if len(row) != 3 or not all(row)] == []
    assert len({row[0] for row in rows}) == len(rows) > 70
