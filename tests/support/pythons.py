"""The Python interpreters of this machine that the product supports."""

import shutil
import subprocess
import sys
from pathlib import Path

_VERSIONS = ("3.11", "3.12", "3.13")
_SHOWS_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])))"


def interpreters() -> dict[str, str]:
    """Return the interpreters by version: this one, those on the path, and those of pyenv."""
    on_path = [shutil.which(f"python{version}") for version in _VERSIONS]
    of_pyenv = [str(path) for v in _VERSIONS for path in Path.home().glob(f".pyenv/versions/{v}.*/bin/python{v}")]
    return {version: found for found in (*on_path, *of_pyenv, sys.executable) if found and (version := _version(found))}


def _version(interpreter: str) -> str | None:
    """Return the version; None for what does not start, such as a shim of pyenv without its version."""
    done = subprocess.run([interpreter, "-IS", "-c", _SHOWS_VERSION], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
