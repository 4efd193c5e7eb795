"""What is wrong with a changed file is found before anything is restarted by it."""

from pathlib import Path

import pytest

from ops.dev.stack.home import CHECKOUT
from ops.dev.stack.reload import problem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "def greet() -> str:\n    return 'hello'\n"),
        ("a.py", "x: int = 'mypy would refuse it, Python does not'\n"),
        ("a.jinja", "{% block text %}Hello {{ name }}{% endblock %}"),
        ("a.sql", "-- name: one\n-- Says one.\nselect 1;\n"),
    ],
)
def test_a_file_that_can_be_read_is_no_problem(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    assert problem(tmp_path / name) is None


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.py", "def greet(:\n", "invalid syntax"),
        ("a.py", "\0", "null bytes"),
        ("a.jinja", "{% block text %}Hello {{ name }}", "Unexpected end of template"),
        ("a.sql", "-- name: one\nselect 1;\n", "each query needs a unique name and a line of description"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text)

    found = problem(tmp_path / name)

    assert found is not None
    assert str(tmp_path / name) in found
    assert reason in found


def test_the_named_queries_of_the_product_are_no_problem() -> None:
    files = [path for path in (CHECKOUT / "moneyflow").rglob("*.sql") if "migrations" not in path.parts]

    assert files
    assert [problem(path) for path in files] == [None] * len(files)


@pytest.mark.parametrize("name", ["a.py", "a.jinja", "a.sql"])
def test_a_file_that_was_deleted_is_no_problem(tmp_path: Path, name: str) -> None:
    assert problem(tmp_path / name) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fragments.sql", "-- fragment: one\nselect 1\n"),
        ("fragments.sql", "-- name: one\n-- A query among fragments.\nselect 1;\n"),
        ("a.sql", "-- fragment: one\n-- A fragment among queries.\nselect 1\n"),
    ],
)
def test_a_fragment_without_a_description_and_a_block_in_the_wrong_file_are_named(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)

    found = problem(tmp_path / name)

    assert found is not None
    assert "a unique name and a line of description" in found
