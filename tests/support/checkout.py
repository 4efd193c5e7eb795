"""A second checkout on this machine: what is committed or will be, and nothing that was made."""

import shutil
import subprocess
from pathlib import Path

from tests.support.servers import watch_copy

_ROOT = Path(__file__).parents[2]


def copy_of_checkout(folder: Path) -> Path:
    """Copy this checkout's files to `folder` and return it; a stack that is started in it ends with the run."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=_ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (_ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, folder / name)
    watch_copy(folder)
    return folder
