"""The developers' guide is correct: every example in it runs, and every command in it exists."""

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import workers.jobs  # noqa: F401 - the handlers of the product, before an example declares its own
from moneyflow.jobs import registry as contracts
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.schedules import registry as schedules
from ops.cli import app
from tests.support import people
from workers.handlers import registry as handlers

_ROOT = Path(__file__).parents[2]
_GUIDE = (_ROOT / "workers/jobs/README.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+\.py)\n")

_SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", _GUIDE, re.MULTILINE | re.DOTALL))
_IMPORTS = _BLOCK.findall(_GUIDE.partition("\n## ")[0])
_EXAMPLES = {
    title: [block for block in _BLOCK.findall(text) if not _FILE.match(block)] for title, text in _SECTIONS.items()
}
_PARTS_OF_FILES = [block for text in _SECTIONS.values() for block in _BLOCK.findall(text) if _FILE.match(block)]
_COMMANDS = sorted(set(re.findall(r"^moneyflow ([^#\n]*[^#\s])", _GUIDE, re.MULTILINE)))


@pytest.fixture
def declared() -> Iterator[None]:
    """Remove the declarations of an example."""
    registries: list[dict[str, Any]] = [contracts, handlers, schedules]
    before = [dict(registry) for registry in registries]
    yield
    for registry, kept in zip(registries, before, strict=True):
        registry.clear()
        registry.update(kept)


@pytest.mark.parametrize("title", [title for title, blocks in _EXAMPLES.items() if blocks])
def test_every_example_of_a_section_runs(title: str, database: Database, declared: None) -> None:
    person = people.sign_up(database, name="Ada Lovelace")
    with database.transaction() as session:
        session.execute("delete from jobs")  # Those of the sign-up: an example has only its own.
        names: dict[str, Any] = {"__name__": "guide", "session": session, "user_id": person.user_id}
        for number, block in enumerate([*_IMPORTS, *_EXAMPLES[title]]):
            exec(compile(block, f"workers/jobs/README.md, {title}, example {number}", "exec"), names)
        session.release()


def test_each_feature_has_a_section_with_an_example() -> None:
    expected = {
        "Gateways", "Mails", "Testing",
        "Priorities", "Retries", "Endings", "Unique jobs", "Progress and results", "Files", "Cancellation",
        "Versions", "Limits", "Pauses", "Breakers", "Chains", "Batches", "Scheduling",
    }  # fmt: skip

    assert len(_IMPORTS) == 1
    assert {title for title, blocks in _EXAMPLES.items() if blocks} >= expected


@pytest.mark.parametrize("block", _PARTS_OF_FILES)
def test_a_part_of_a_file_that_is_shown_is_in_that_file(block: str) -> None:
    name = _FILE.match(block)
    assert name is not None

    assert block.partition("\n")[2].strip() in (_ROOT / name[1]).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_command_that_is_shown_takes_what_it_is_given(command: str) -> None:
    words = shlex.split(command)
    found: Any = typer.main.get_command(app)
    while hasattr(found, "commands") and words:
        group, name = found, words.pop(0)
        found = group.get_command(None, name)
        assert found is not None, f"moneyflow {command}: there is no {name}"

    with contextlib.closing(found.make_context(found.name, words)) as context:
        assert context.params


def test_every_linked_section_exists() -> None:
    linked = set(re.findall(r"\]\(#([a-z-]+)\)", _GUIDE))
    anchors = {title.lower().replace(" ", "-") for title in _SECTIONS}

    assert linked
    assert linked <= anchors
