"""`moneyflow new job` and `new sink`: what they write passes all checks and its own test, and refusals write nothing.

`make acceptance ARGS=jobs` checks the types of the whole checkout with it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_LEFT_OUT = shutil.ignore_patterns(".venv", ".git", ".stack", "__pycache__", ".*_cache", ".tools")
_PLACES = ("moneyflow/jobs/", "workers/jobs/", "tests/integration/test_")
_LONGEST = "a_job_with_a_name_of_forty_characters_xx"
_SINK, _SAME_SCHEMA = "moved_money", "test_the_models_are_the_migrated_schema"
_NEW = ("close_account", _LONGEST, "close_month", "book_sale")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of this checkout."""
    return _copy(tmp_path)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of this checkout that no test changes."""
    return _copy(tmp_path_factory.mktemp("unchanged"))


def _copy(folder: Path) -> Path:
    return Path(shutil.copytree(_ROOT, folder / "checkout", ignore=_LEFT_OUT))


def _run(checkout: Path, *command: str, timeout: float = 360) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


def _new_job(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return _run(checkout, sys.executable, "-m", "ops.cli", "new", "job", *arguments)


def _files(checkout: Path) -> set[str]:
    return {str(path.relative_to(checkout)) for path in checkout.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.timeout(900)
def test_what_is_written_passes_every_check_and_its_own_test(checkout: Path, pytestconfig: pytest.Config) -> None:
    before = _files(checkout)
    plain = _new_job(checkout, "close_account", "--does", "close an account without a login for a year")
    mail = _new_job(checkout, _LONGEST, "--mail", "--does", "x" * 60)
    nightly = _new_job(checkout, "close_month", "--cron", "0 6 1 * *", "--field", "until:datetime?", "--limit", "1")
    sale = _new_job(
        checkout, "book_sale", "--no-user", "--field", "amount:Decimal", "--field", "on:date", "--limit", "9/m"
    )
    sink = _run(checkout, sys.executable, "-m", "ops.cli", "new", "sink", _SINK, "--event", "transaction.created")
    written = _files(checkout) - before

    sources = sorted(path for path in written if path.endswith(".py"))
    typed = [] if pytestconfig.getoption("--all-types") else sources
    bin_folder = Path(sys.executable).parent
    checks = [
        _run(checkout, str(bin_folder / "ruff"), "format", "--check", "--no-cache", *sources),
        _run(checkout, str(bin_folder / "ruff"), "check", "--no-cache", *sources),
        _run(checkout, str(bin_folder / "mypy"), "--cache-dir", str(_ROOT / ".mypy_cache/of_new_jobs"), *typed),
        _run(checkout, str(bin_folder / "lint-imports"), "--no-cache"),
        _run(checkout, sys.executable, "-m", "ops.cli", "contracts", "check"),
        _run(
            checkout, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            *(f"tests/integration/test_{name}.py" for name in _NEW),
            "tests/unit/test_completeness.py", "tests/unit/test_mail_templates.py",
            f"tests/integration/test_{_SINK}_sink.py", "tests/integration/test_migrations.py::" + _SAME_SCHEMA,
            "tests/unit/test_sinks.py", "tests/unit/test_env_example.py", "tests/unit/test_compose_file.py",
        ),
    ]  # fmt: skip

    for command in (plain, mail, nightly, sale, sink):
        assert command.returncode == 0, command.stderr
    assert written == {
        *(f"{place}{name}.py" for place in _PLACES for name in _NEW),
        *(f"tests/contracts/jobs/{name}.1.json" for name in _NEW),
        f"mail_templates/{_LONGEST}.jinja",
        f"consumers/sinks/{_SINK}.py",
        f"consumers/sinks/{_SINK}.sql",
        f"moneyflow/sinks/models/{_SINK}.py",
        f"tests/integration/test_{_SINK}_sink.py",
        *(path for path in written if path.startswith("migrations/versions/") and path.endswith(f"_{_SINK}.py")),
    }  # fmt: skip
    printed = "".join(command.stdout for command in (plain, mail, nightly, sale, sink))
    assert all(f"wrote {path}" in printed for path in written)
    assert "enqueue(session, CloseAccount(user_id=user_id))" in plain.stdout
    assert "enqueue(session, BookSale(amount=amount, on=on))" in sale.stdout
    assert "moneyflow schedules run close_month" in nightly.stdout
    for check in checks:
        assert check.returncode == 0, check.stdout[-4000:] + check.stderr[-2000:]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["send_welcome"], "there is a job send_welcome already, in moneyflow.jobs.send_welcome"),
        (["welcome", "--mail"], "nothing was written: mail_templates/welcome.jinja exists already"),
        (["SendEmail"], "NAME: 'SendEmail' is not of the form send_email"),
        (["send-email"], "NAME: 'send-email' is not of the form send_email"),
        (["send__email"], "NAME: 'send__email' is not of the form send_email"),
        (["../email"], "NAME: '../email' is not of the form send_email"),
        (["a" * 41], "2 to 40 characters"),
        (["import"], "NAME: 'import' has another meaning"),
        (["context"], "NAME: 'context' has another meaning"),
        (["send_bill", "--does", 'say "pay"'], "--does: give one line"),
        (["send_bill", "--does", "two\nlines"], "--does: give one line"),
        (["send_bill", "--does", "  "], "--does: give one line"),
        (["send_bill", "--field", "amount:decimal"], "did you mean Decimal?"),
        (["send_bill", "--cron", "often"], "--cron often: "),
        (["send_bill", "--limit", "many"], "--limit many: give how many run at once"),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason_and_nothing_is_written(
    arguments: list[str], reason: str, unchanged: Path
) -> None:
    before = _files(unchanged)

    refused = _new_job(unchanged, *arguments)

    assert refused.returncode == 2
    assert reason in refused.stderr
    assert _files(unchanged) == before


def test_a_file_of_one_part_that_is_there_is_neither_overwritten_nor_joined_by_others(checkout: Path) -> None:
    (checkout / "workers/jobs/send_bill.py").write_text('"""A developer works on it."""\n')
    before = _files(checkout)

    refused = _new_job(checkout, "send_bill", "--mail")

    assert (refused.returncode, "workers/jobs/send_bill.py exists already" in refused.stderr) == (2, True)
    assert _files(checkout) == before
    assert (checkout / "workers/jobs/send_bill.py").read_text() == '"""A developer works on it."""\n'


def test_a_folder_that_cannot_be_written_leaves_nothing_half_written(checkout: Path) -> None:
    shutil.rmtree(checkout / "workers/jobs")
    before = _files(checkout)

    refused = _new_job(checkout, "send_bill")

    assert refused.returncode == 2
    assert "nothing was written: " in refused.stderr
    assert "workers/jobs/send_bill.py cannot be written: No such file or directory" in refused.stderr
    assert _files(checkout) == before
