"""`moneyflow` itself: what it imports, its help, version and suggestions, and the stack that it finds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops import cli
from ops.cli import app, checkout

_ROOT = Path(__file__).parents[2]
_GROUPS = sorted(cli._GROUPS)
#: Libraries of processes and of servers that no command needs in order to start.
_NEVER = {"falcon", "dramatiq", "aiokafka", "alembic", "gunicorn", "sqlmodel", "sqlalchemy", "pika", "kombu", "redis"}
#: What the list of commands does not need either.
_NOT_FOR_HELP = _NEVER | {"psycopg", "pydantic", "structlog", "rich", "moneyflow.jobs", "moneyflow.settings"}
_IMPORTED = """
import sys
from ops.cli import main
sys.argv = ["moneyflow", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write("\\n".join(sys.modules))
"""


def _imported(*words: str) -> set[str]:
    """Return the modules that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *words], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines())


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_and_version_import_no_group_and_no_library_of_a_server(words: list[str]) -> None:
    modules = _imported(*words)

    assert "ops.cli" in modules
    assert modules & _NOT_FOR_HELP == set()
    assert modules & set(cli._GROUPS.values()) == set()


@pytest.mark.parametrize("group", _GROUPS)
def test_a_group_of_commands_imports_no_library_of_a_process(group: str) -> None:
    modules = _imported(group, "--help")

    assert cli._GROUPS[group] in modules
    assert modules & _NEVER == set()


def test_a_command_that_prints_imports_no_library_of_a_process() -> None:
    assert _imported("jobs", "list", "--json") & _NEVER == set()


@pytest.mark.parametrize("words", [[], *([group] for group in _GROUPS)], ids=" ".join)
def test_every_help_fits_into_80_columns(words: list[str]) -> None:
    printed = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"}).stdout

    assert len(printed.splitlines()) > 5
    assert [line for line in printed.splitlines() if len(line) > 80] == []
    assert "│" not in printed, "boxes squeeze the text"


def test_the_list_of_commands_has_every_group_with_what_it_does() -> None:
    printed = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())

    for group in _GROUPS:
        text = cli._does(cli._GROUPS[group])
        assert text, f"the first line of {cli._GROUPS[group]} is `moneyflow {group}`: what it does"
        assert f"{group} {text}" in printed


def test_the_version_is_that_of_the_package() -> None:
    version = re.search(r'^version = "(.+)"$', (_ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert version is not None
    assert CliRunner().invoke(app, ["--version"]).stdout == f"money-flow {version[1]}\n"


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["faild"], "there is no command 'faild'; did you mean failed?"),
        (["job", "list"], "did you mean jobs?"),
        (["failed", "grups"], "Did you mean 'groups'?"),
        (["jobs", "cancle"], "Did you mean 'cancel'?"),
        (["failed", "groups", "--knd", "x"], "--kind"),
        (["zzz"], "`moneyflow --help` lists the commands"),
    ],
)
def test_a_command_that_does_not_exist_is_refused_with_the_closest_one(words: list[str], suggestion: str) -> None:
    refused = CliRunner().invoke(app, words)

    assert refused.exit_code == 2
    assert suggestion in refused.stderr


_WITHOUT = """
import sys
hidden = sys.argv[1]
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == hidden:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Hidden())
from ops.cli import main
sys.argv = ["moneyflow", "jobs", "list"]
main()
"""


@pytest.mark.parametrize("package", ["typer", "psycopg", "cronsim", "rich"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, package], cwd=_ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{package} is not installed for {sys.executable}; run `make check`, which installs all into .venv"
    ]


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout whose stack runs; it is the working folder."""
    (tmp_path / ".stack").mkdir()
    (tmp_path / ".stack/environment").write_text("POSTGRES_PORT=23456\nREDIS_PASSWORD=a=b\n")
    (tmp_path / ".env").write_text("POSTGRES_PORT=5432\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_running_stack_of_the_checkout_is_found_when_no_server_is_named(running: Path) -> None:
    found = checkout.running_stack({"PATH": "/bin"}, checkout=running)

    assert found == {"POSTGRES_PORT": "23456", "REDIS_PASSWORD": "a=b"}


@pytest.mark.parametrize("name", ["POSTGRES_HOST", "RABBITMQ_PORT", "REDIS_DB", "KAFKA_HOST"])
def test_the_environment_that_names_a_server_comes_first(running: Path, name: str) -> None:
    assert checkout.running_stack({name: "1"}, checkout=running) is None


def test_the_env_file_of_another_folder_comes_first(
    running: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("deployment")
    monkeypatch.chdir(other)
    found = checkout.running_stack({}, checkout=running)
    (other / ".env").write_text("POSTGRES_HOST=db.example\n")

    assert found is not None
    assert checkout.running_stack({}, checkout=running) is None


def test_no_stack_is_found_where_none_runs_or_its_file_is_another_users(
    running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    of_another = checkout.running_stack({}, checkout=running)
    monkeypatch.undo()
    (running / ".stack/environment").unlink()

    assert of_another is None
    assert checkout.running_stack({}, checkout=running) is None
