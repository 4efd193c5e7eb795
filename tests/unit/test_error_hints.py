"""Errors of the platform name no command; the command line adds the command that helps."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from moneyflow.platform.errors import NotFoundError
from ops import cli
from ops.cli import failed

_ROOT = Path(__file__).parents[2]
_SOURCES = sorted((_ROOT / "moneyflow").rglob("*.py"))
_COMMAND = re.compile(r"`(?:moneyflow [a-z]|python -m |make [a-z])")


@pytest.fixture
def logging() -> Iterator[None]:
    """Restore the configuration of logs, which a command changes."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("path", _SOURCES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_nothing_that_processes_share_names_a_command(path: Path) -> None:
    assert _COMMAND.findall(path.read_text(encoding="utf-8")) == []


def test_whatever_an_error_is_about_has_a_hint_at_the_command_line() -> None:
    topics = {topic for path in _SOURCES for topic in re.findall(r'about="(\w+)"', path.read_text(encoding="utf-8"))}

    assert topics == cli._HINTS.keys()


def test_an_error_is_printed_with_the_command_that_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logging: None
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise NotFoundError("there is no operation 7", about="operation")

    monkeypatch.setattr(failed, "opened", fail)
    monkeypatch.setattr("sys.argv", ["moneyflow", "failed", "operations"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == "there is no operation 7; " + cli._HINTS["operation"] + "\n"
    with pytest.raises(NotFoundError, match="moneyflow failed operations"):
        CliRunner().invoke(cli.app, ["failed", "operations"], catch_exceptions=False)
