"""SQL in files: each statement has a name and a line that says what it does."""

from pathlib import Path

import pytest

from moneyflow.platform.queries import load_fragments, load_queries

_ROOT = Path(__file__).parent.parent.parent
_FRAGMENTS = sorted((_ROOT / "moneyflow").rglob("fragments.sql"))
_FILES = sorted(
    path for folder in ("moneyflow", "workers") for path in (_ROOT / folder).rglob("*.sql") if path not in _FRAGMENTS
)


def _load(folder: Path, text: str) -> dict[str, str]:
    file = folder / "queries.sql"
    file.write_text(text, encoding="utf-8")
    return dict(load_queries(file))


def test_each_statement_is_found_by_its_name_without_its_semicolon(tmp_path: Path) -> None:
    queries = _load(tmp_path, "-- name: one\n-- Says one.\nselect 1;\n\n-- name: two\n-- A.\n-- B.\nselect\n  2;\n")

    assert queries == {"one": "select 1", "two": "select\n  2"}


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nselect 1;\n",
        "-- name: one\n-- A.\nselect 1;\n-- name: one\n-- B.\nselect 2;\n",
        "-- name: two words\n-- A.\nselect 1;\n",
        "  -- name: one\n-- A.\nselect 1;\n",
    ],
    ids=["nothing said", "a name twice", "no name", "not at the line's start"],
)
def test_a_statement_without_a_name_or_a_description_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"queries\.sql: each query needs a unique name"):
        _load(tmp_path, text)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_every_file_of_the_product_can_be_read_and_every_query_in_it_is_used(path: Path) -> None:
    queries = load_queries(path, fragments=_FRAGMENTS)

    users = [path.with_suffix(".py"), *(_ROOT / "workers" / "relay").glob("*.py")]
    source = "".join(user.read_text(encoding="utf-8") for user in users if user.exists())
    assert queries
    assert [name for name in queries if f'"{name}"' not in source] == []


def test_a_fragment_is_inserted_into_each_statement_that_names_it(tmp_path: Path) -> None:
    fragments = tmp_path / "fragments.sql"
    fragments.write_text("-- fragment: one\n-- One.\n1\n\n-- fragment: two\n-- Two.\n<<one>> + <<one>>\n")
    file = tmp_path / "queries.sql"
    file.write_text("-- name: sum\n-- Returns three.\nselect <<two>> + <<one>>;\n")

    assert dict(load_queries(file, fragments=fragments)) == {"sum": "select 1 + 1 + 1"}


def test_a_fragment_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "queries.sql"
    file.write_text("-- name: sum\n-- Returns one.\nselect <<one>>;\n")

    with pytest.raises(ValueError, match="there is no fragment one"):
        load_queries(file)


def test_every_fragment_is_used_and_what_it_says_is_written_nowhere_else() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (*_FILES, *_FRAGMENTS)}

    for fragment in (name for path in _FRAGMENTS for name in load_fragments(path)):
        assert any(f"<<{fragment}>>" in source for source in sources.values()), fragment
    for path in _FILES:
        for shared in ("'scheduled', 'queued'", "unique_while_unfinished then null", "when attempt > 0"):
            assert shared not in sources[path], f"{path.name} repeats a fragment: {shared}"
