"""The import rules are kept, and each of them sees the arrow that it forbids."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("moneyflow", "api", "workers", "consumers", "mail_templates", "migrations", "ops")

_OFFENCES = {
    "Inside moneyflow an arrow never points back": (
        "moneyflow/platform/jobs/enqueue.py",
        "from moneyflow.accounts import users",
    ),
    "Inside the platform an arrow never points back": (
        "moneyflow/platform/clock.py",
        "from moneyflow.platform.jobs import enqueue",
    ),
    "Inside workers an arrow never points back": ("workers/intake/acks.py", "from workers.execution import executor"),
    "The relay is a process of its own and knows no Dramatiq": ("workers/relay/jobs.py", "import dramatiq"),
    "The operators' tools work without the developers'": ("ops/cli/output.py", "from ops.dev.stack import home"),
    "Processes never import one another": ("api/app.py", "from workers.intake import acks"),
    "What is shared knows no process": ("moneyflow/accounts/users.py", "import falcon"),
    "Mail templates and the frozen history import nothing of ours": (
        "migrations/versions/0001_skeleton.py",
        "from moneyflow.platform import clock",
    ),
    "A handler knows no other handler": ("workers/jobs/send_welcome.py", "from workers.jobs import send_email"),
    "A sink knows no other sink": ("consumers/sinks/audit.py", "from consumers.sinks import other"),
    "Any WSGI server can serve the application": ("api/access.py", "import gunicorn"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the packages, with a second sink that the first one could import."""
    for package in _PACKAGES:
        shutil.copytree(_ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "consumers/sinks/other.py").write_text('"""Another sink."""\n')
    return tmp_path


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )


def test_every_rule_of_the_configuration_has_its_offence_here() -> None:
    names = {line.split('"')[1] for line in (_ROOT / "pyproject.toml").read_text().splitlines() if "name = " in line}

    assert set(_OFFENCES) <= names
    assert (_ROOT / "pyproject.toml").read_text().count("[[tool.importlinter.contracts]]") == len(_OFFENCES)


def test_all_offences_at_once_break_exactly_all_rules(copy: Path) -> None:
    assert _lint(copy).returncode == 0

    for file, offence in _OFFENCES.values():
        with (copy / file).open("a") as module:
            module.write(f"\n{offence}\n")
    broken = _lint(copy)

    assert broken.returncode == 1
    for name in _OFFENCES:
        assert f"{name} BROKEN" in broken.stdout


def test_a_new_module_without_a_place_in_the_layers_is_refused(copy: Path) -> None:
    (copy / "moneyflow/stray.py").write_text('"""It has no place."""\n')

    broken = _lint(copy)

    assert broken.returncode == 1
    assert "stray" in broken.stdout


def test_the_packages_of_the_workers_have_few_imports_between_them() -> None:
    arrows: set[tuple[str, str]] = set()
    for file in (_ROOT / "workers").rglob("*.py"):
        room = file.relative_to(_ROOT / "workers").parts[0].removesuffix(".py")
        for imported in _workers_modules(file):
            arrows.add((room, imported))

    between = {(source, target) for source, target in arrows if source != target}
    assert 10 < len(between) <= 20, sorted(between)


def _workers_modules(file: Path) -> Iterator[str]:
    """Yield the room of each module of `workers` that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("workers."))
