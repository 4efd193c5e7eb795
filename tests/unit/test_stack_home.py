"""The folder of a stack is private: another user's is refused, as is a link, and only its owner reads its files."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ops.dev.stack.contract import StackError
from ops.dev.stack.home import CHECKOUT, State, create_private, exclusively, stack_home
from ops.dev.stack.processes import open_log, spawn

_ANOTHER_USER = 65534


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_for_its_owner_alone_whatever_the_umask_is(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    before = os.umask(0)
    try:
        create_private(folder)
        with exclusively(folder):
            State(folder).change("secrets", "one", "hidden")
        log = folder / "log"
        open_log(log).close()
    finally:
        os.umask(before)

    assert _mode(folder) == 0o700
    assert _mode(folder / "state.json") == 0o600
    assert _mode(log) == 0o600


def test_a_folder_that_others_may_read_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(0o777)

    create_private(folder)

    assert _mode(folder) & 0o067 == 0


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "home"
    link.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StackError, match="is not a folder, and the stack keeps its secrets there; remove it"):
        create_private(link)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused_and_not_written(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    os.chown(folder, _ANOTHER_USER, _ANOTHER_USER)

    with pytest.raises(StackError, match=f"belongs to another user .uid {_ANOTHER_USER}., who could change"):
        create_private(folder)

    assert list(folder.iterdir()) == []


def test_what_a_process_of_the_stack_writes_is_for_its_owner_alone(tmp_path: Path) -> None:
    program = "import pathlib; pathlib.Path('written').touch(); pathlib.Path('made').mkdir()"
    process = spawn([sys.executable, "-c", program], environment={}, log=tmp_path / "log", folder=tmp_path)
    assert process.wait_gone(20)

    assert [_mode(tmp_path / name) for name in ("written", "made", "log")] == [0o600, 0o700, 0o600]


def test_the_folder_does_not_depend_on_what_the_environment_says_of_the_user() -> None:
    program = "from ops.dev.stack.home import stack_home; print(stack_home())"
    environment = {**os.environ, "USER": "mallory", "LOGNAME": "mallory", "USERNAME": "mallory"}

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == str(stack_home())
