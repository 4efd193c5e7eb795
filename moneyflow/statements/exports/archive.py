"""Archive of a person's data: a ZIP with a JSON file for each table that has rows of the person, and their files."""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from psycopg.rows import DictRow

from moneyflow.gateways.storage import Storage
from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.personal_data import Part
from moneyflow.platform.queries import load_queries
from moneyflow.statements.exports.exports import PendingExport

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Bytes of a file that are held in memory.
_PIECE = 256 * 1024
_README = """This archive has all that Money Flow keeps of you.

NAME.json   the rows of the table NAME that are about you; tables without any are left out
files/      your files, such as your picture; what was exported before is not in it again
"""


class _Written(io.RawIOBase):
    """A stream that keeps what is written until it is taken; it cannot seek, so a ZIP is written from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def pieces(
    session: Session, storage: Storage, export: PendingExport, *, parts: Iterable[Part], check: Callable[[], object]
) -> Iterator[bytes]:
    """Yield the archive, while the rows and the files are read; `check` is called now and then, and may raise."""
    scope, output = OwnerScope(session, export.user_id), _Written()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _README)
        for part in parts:
            yield from _member(archive, output, f"{part.table}.json", _json(scope, part), check)
        for row in scope.rows(_QUERIES["files"], {}):
            name = f"files/{row['id']}-{row['name']}"
            yield from _member(archive, output, name, _content(storage, row), check)
    yield output.take()


def _member(
    archive: zipfile.ZipFile, output: _Written, name: str, content: Iterator[bytes], check: Callable[[], object]
) -> Iterator[bytes]:
    """Write a member unless it has no content, and yield what the archive grew by."""
    first = next(content, None)
    if first is None:
        return
    with archive.open(name, "w", force_zip64=True) as member:
        member.write(first)
        for piece in content:
            member.write(piece)
            yield output.take()
            check()


def _json(scope: OwnerScope, part: Part) -> Iterator[bytes]:
    """Yield the rows of a table as a list, one in a line; nothing where there is none."""
    scope.execute(f"declare part no scroll cursor for {part.query}", {})
    opening = b"[\n"
    while rows := scope.session.fetch_all(_QUERIES["fetch"]):
        yield opening + b",\n".join(map(_line, rows))
        opening = b",\n"
    if opening != b"[\n":
        yield b"\n]\n"
    scope.session.execute(_QUERIES["close"])


def _line(row: DictRow) -> bytes:
    return orjson.dumps(row, default=str)


def _content(storage: Storage, row: DictRow) -> Iterator[bytes]:
    try:
        with storage.open(row["key"]) as file:
            while piece := file.read(_PIECE):
                yield piece
    except NotFoundError:  # It expired while the archive was written.
        return
