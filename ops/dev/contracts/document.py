"""Frozen OpenAPI document: what clients were promised, in `tests/contracts/openapi.json`."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from moneyflow.platform.errors import ConflictError
from ops.dev.contracts.frozen import FOLDER, Problem
from ops.dev.contracts.http_changes import Document, breaking_changes

#: The name of the document for `--overwrite`.
NAME = "openapi"
FILE = FOLDER / f"{NAME}.json"

#: What decides on no request and no answer.
_COMMENTS = frozenset({"title", "summary", "description", "example", "examples", "tags", "info"})
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def current(root: Path) -> Document:
    """Return the document of the code without texts; processes never import one another, so a process prints it.

    Raises:
        ConflictError: the application does not start, such as for a responder that has no description.
    """
    command = [sys.executable, "-m", "api.openapi"]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ConflictError(f"the OpenAPI document cannot be made: {done.stderr.strip().rpartition(chr(10))[2]}")
    document: Document = _bare(orjson.loads(done.stdout))
    return document


def freeze(root: Path, document: Document, *, overwrite: bool = False) -> list[Path]:
    """Write the document, unless it breaks what is frozen; return the written file."""
    before = _frozen(root)
    if document == before or (before is not None and not overwrite and any(breaking_changes(before, document))):
        return []
    (root / FILE).parent.mkdir(parents=True, exist_ok=True)
    (root / FILE).write_bytes(orjson.dumps(document, option=_OPTIONS))
    return [FILE]


def check(root: Path, document: Document) -> Iterator[Problem]:
    """Compare the document of the code with the frozen one."""
    before = _frozen(root)
    if before is None:
        yield Problem(NAME, "the document is not frozen", f"Run `moneyflow contracts freeze`, and commit {FILE}")
        return
    for change in sorted(set(breaking_changes(before, document))):
        yield Problem(
            NAME,
            change,
            "Clients that use it would fail: keep it as it was, and add the new form next to it, such as an optional "
            "member or another route. Where it was never deployed, run `moneyflow contracts freeze --overwrite "
            f"{NAME}`",
        )


def notices(root: Path, document: Document) -> Iterator[str]:
    """Yield what to do about a document that breaks no client, and is not the frozen one."""
    before = _frozen(root)
    if before is not None and before != document and not any(breaking_changes(before, document)):
        yield f"{NAME}: the API has grown, and no client breaks. Run `moneyflow contracts freeze`, and commit {FILE}"


def _frozen(root: Path) -> Document | None:
    file = root / FILE
    return orjson.loads(file.read_bytes()) if file.exists() else None


def _bare(part: Any, *, names: bool = False) -> Any:
    """Return a part of the document without texts; `names` are those of members, whatever they are."""
    if isinstance(part, list):
        return [_bare(one) for one in part]
    if not isinstance(part, Mapping):
        return part
    kept = part if names else {key: value for key, value in part.items() if key not in _COMMENTS}
    return {key: _bare(value, names=key == "properties" and not names) for key, value in kept.items()}
