"""Node.js, and a folder with the frontend's client, generated from a document and compiled."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ops.dev.stack import packages

_SOURCES = Path(__file__).parents[1] / "frontend"
_NODE = str(Path(sys.executable).with_name("node"))
#: Seconds that a command may take on a busy machine.
_LONGEST_SECONDS = 120


@dataclass(frozen=True)
class NodeProject:
    """A copy of `tests/frontend` with the packages of its lock."""

    folder: Path

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Node.js in the folder; return what it printed, and its exit code."""
        return subprocess.run(
            [_NODE, *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )

    def must_run(self, *arguments: str) -> None:
        """Run Node.js; what it printed is the error when it fails."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"


def project(folder: Path, document: bytes) -> NodeProject:
    """Return the client of an API that is described by an OpenAPI document: its types generated, all of it compiled."""
    folder.mkdir()
    for path in _sources():
        shutil.copy(path, folder)
    (folder / "openapi.json").write_bytes(document)
    modules = packages.node_modules(Console(stderr=True), _SOURCES)
    (folder / "node_modules").symlink_to(modules, target_is_directory=True)
    made = NodeProject(folder)
    made.must_run("node_modules/openapi-typescript/bin/cli.js", *_GENERATE)
    made.must_run("node_modules/typescript/bin/tsc")
    return made


#: As in `package.json`; a member with a default may be left out of a request.
_GENERATE = ("openapi.json", "--output", "schema.d.ts", "--default-non-nullable=false")


def _sources() -> Sequence[Path]:
    return [*_SOURCES.glob("*.ts"), _SOURCES / "package.json", _SOURCES / "tsconfig.json"]
