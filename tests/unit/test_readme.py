"""The documents are correct: the files that README shows are the files, and all commands and links exist."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ops.cli import app

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")
_DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "api/README.md",
    "consumers/README.md",
    *(f"ops/runbooks/{path.name}" for path in _ROOT.glob("ops/runbooks/*.md")),
]
_SINKS = (_ROOT / "consumers/README.md").read_text(encoding="utf-8")
_SHOWN = re.compile(r"^```\w+\n(?:# |-- |\{# )(\S+\.\w+)(?: #\})?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILES, _FILES_OF_A_SINK = _SHOWN.findall(_README), _SHOWN.findall(_SINKS)


def test_the_walk_through_shows_a_contract_a_handler_a_template_and_a_test() -> None:
    assert [name.split("/")[0] for name, _ in _FILES] == ["moneyflow", "workers", "mail_templates", "tests"]


def test_the_guide_of_sinks_shows_a_model_sql_a_sink_and_a_test_and_its_table_is_that_of_the_migration() -> None:
    assert [Path(name).suffix for name, _ in _FILES_OF_A_SINK] == [".py", ".sql", ".py", ".py"]
    (table,) = re.findall(r"^```sql\n(create table .*?)^```$", _SINKS, re.MULTILINE | re.DOTALL)
    assert table in (_ROOT / "migrations/versions/0037_daily_sign_ups.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "shown"), [*_FILES, *_FILES_OF_A_SINK])
def test_a_file_that_is_shown_is_the_file(name: str, shown: str) -> None:
    assert shown == (_ROOT / name).read_text(encoding="utf-8")


def test_the_line_that_enqueues_is_in_the_use_case() -> None:
    assert "enqueue(session, SendWelcome(user_id=user_id))" in (_ROOT / "moneyflow/accounts/users.py").read_text()


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_every_make_command_and_every_linked_file_exists(document: str) -> None:
    text = (_ROOT / document).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    commands = set(re.findall(r"(?:^|`|\()make (?:-s )?([a-z-]+)", text, re.MULTILINE))
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]

    assert commands <= targets
    assert [link for link in links if not (_ROOT / document).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_every_moneyflow_command_and_each_of_its_options_exists(document: str) -> None:
    text = (_ROOT / document).read_text(encoding="utf-8")
    shown = re.findall(r"(?<!from )moneyflow ([a-z][a-z-]* (?:dead-letter )?)([a-z][a-z|-]*)([^`#\n]*)", text)

    for groups, names, arguments in shown:
        for name in names.split("|"):
            options = {option for parameter in _command(*groups.split(), name).params for option in parameter.opts}
            assert set(re.findall(r"(?<![\w-])--[a-z-]+", arguments)) <= options, f"{groups} {name}"


def _command(*names: str) -> Any:
    """Return a command of `moneyflow`; the test fails when it does not exist."""
    found: Any = get_command(app)
    for part in names:
        found = found.get_command(None, part)
        assert found is not None, f"there is no command {part!r} in `moneyflow {' '.join(names)}`"
    return found
