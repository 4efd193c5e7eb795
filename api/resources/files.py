"""`/v1/files/{id}`, a private file for its owner, and `/storage/…`, a public one for everyone."""

from datetime import UTC, datetime
from pathlib import PurePosixPath

import falcon

from api.descriptions import Content, describes
from api.downloads import Download, Downloads
from api.guards import owner_scope, public, signed_in
from api.paths import id_of
from moneyflow.gateways.storage import files
from moneyflow.gateways.storage.keys import is_key
from moneyflow.platform.database import Database
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.http.ranges import State

_HEADERS = {
    "Content-Disposition": "The name of the file.",
    "Accept-Ranges": "`bytes`: a part may be asked for by `Range`.",
    "Last-Modified": "When the file was written.",
}
#: What public files are, by the ends of their keys.
_TYPES = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg"}
_BINARY = "application/octet-stream"
#: A name leads to the same content for ever.
_IMMUTABLE = "public, max-age=31536000, immutable"
#: The beginning of the time that all public files have: their names say more.
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


class File:
    """A file: for its owner, such as of the job that has left it, and for administrators, until it expires."""

    def __init__(self, database: Database, downloads: Downloads) -> None:
        self._database = database
        self._downloads = downloads

    @signed_in
    @describes(
        "read_file",
        answers={200: Content("*/*"), 206: Content("*/*"), 307: None},
        etag=True,
        ranges=True,
        headers=_HEADERS,
    )
    def on_get(self, request: falcon.Request, response: falcon.Response, file_id: str) -> None:
        """Return the file as a download, or a part of it by `Range`; 304 when the client has it already.

        Where files are in a bucket the answer is a redirect to it, by an address that holds for a minute.
        """
        parsed = id_of("file", file_id, found="the `url` in a job's result")
        with self._database.transaction() as session:
            kept = files.find(owner_scope(request, session), parsed)
        download = Download(
            key=kept.key,
            content_type=kept.content_type,
            state=State(etag=f'"{kept.sha256}"', modified=kept.created_at),
            name=kept.name,
            headers={"Cache-Control": "private, no-cache"},
        )
        self._downloads.send(request, response, download)


class PublicFile:
    """A public file; nginx answers for it where it has the file itself."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    @public
    @describes(
        "read_public_file",
        answers={200: Content("*/*"), 206: Content("*/*"), 307: None},
        parameters={"folder": str, "name": str},
        etag=True,
        ranges=True,
        headers={name: _HEADERS[name] for name in ("Accept-Ranges", "Last-Modified")},
    )
    def on_get(self, request: falcon.Request, response: falcon.Response, folder: str, name: str) -> None:
        """Return a public file, such as a person's picture; its address leads to the same content for ever."""
        key = f"public/{folder}/{name}"
        if not is_key(key):
            raise NotFoundError("there is no public file at this address")
        path = PurePosixPath(name)
        download = Download(
            key=key,
            content_type=_TYPES.get(path.suffix, _BINARY),
            state=State(etag=f'"{path.stem}"', modified=_EPOCH),
            headers={"Cache-Control": _IMMUTABLE, "Cross-Origin-Resource-Policy": "cross-origin"},
        )
        self._downloads.send(request, response, download)
