"""`moneyflow new sink`: its files are formatted for each name, every list has it once, and bad names are refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from moneyflow.platform.errors import InvalidInputError
from moneyflow.settings import SINKS, ConsumerSettings
from ops.dev.scaffold.sink import files_of, new_sink
from ops.dev.scaffold.sink_lists import COMPOSE, ENV, ROLES, SETTINGS, lists_with

_ROOT = Path(__file__).parents[2]
_LONGEST = "a_sink_of_thirty_characters_xx"


@pytest.mark.parametrize("name", ["xy", _LONGEST])
@pytest.mark.parametrize("event", ["user.created", "auth.sign_in_failed"])
def test_what_is_written_is_formatted_and_passes_the_linter(name: str, event: str, tmp_path: Path) -> None:
    files = files_of(_ROOT, new_sink(_ROOT, name, event=event, does="x" * 60))
    (tmp_path / "pyproject.toml").write_text((_ROOT / "pyproject.toml").read_text())
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    ours = 'lint.isort.known-first-party=["consumers", "moneyflow", "tests"]'
    for words in (["format", "--check", "--diff"], ["check", "--ignore", "INP001", "--config", ours]):
        command = [str(Path(sys.executable).parent / "ruff"), *words, "--no-cache", "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert all(len(line) <= 120 for text in files.values() for line in text.splitlines())


def test_each_list_gets_the_new_sink_next_to_the_last_one_and_keeps_all_else() -> None:
    lists = lists_with(_ROOT, "new_one")
    settings = {f"{server}_NEW_ONE_{part}" for server in ("POSTGRES", "KAFKA") for part in ("USER", "PASSWORD")}

    for path, text in lists.items():
        lines = text.splitlines()
        kept = [line for line in lines if line in (_ROOT / path).read_text(encoding="utf-8").splitlines()]
        assert [line for line in kept if "new_one" in line.lower()] == []
        before = (_ROOT / path).read_text(encoding="utf-8")
        assert all(line in lines for line in before.splitlines()), path
    assert f'    "{SINKS[-1]}",\n    "new_one",\n)' in lists[SETTINGS]
    assert lists[ROLES].endswith("\nnew_one\n")
    assert {line.partition("=")[0] for line in lists[ENV].splitlines() if "NEW_ONE" in line} == settings
    assert settings <= ConsumerSettings.environment_names("new_one")
    (_, service) = lists[COMPOSE].split("  consumer-new_one:\n")
    assert all(f"      {name}:" in service.partition("\n\n")[0] for name in settings)
    assert lists[COMPOSE].count("POSTGRES_NEW_ONE_PASSWORD:?") == 2, "of the roles, and of its own process"
    assert lists[COMPOSE].count("KAFKA_NEW_ONE_PASSWORD:?") == 2, "of Kafka's users, and of its own process"


@pytest.mark.parametrize(
    "name", ["", "x", "SignUps", "sign-ups", "../up", "a" * 31, "import", "select", "pg_x", "audit"]
)
def test_a_name_that_cannot_be_a_role_a_schema_and_a_module_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"choose another name|of the form"):
        new_sink(_ROOT, name, event="user.created")


def test_an_event_that_does_not_exist_is_refused_with_the_closest_one() -> None:
    with pytest.raises(InvalidInputError, match=r"--event user\.crated: .*did you mean user\.created\?"):
        new_sink(_ROOT, "sign_ups", event="user.crated")
