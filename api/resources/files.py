"""`/v1/files/{id}`: a file that a job has left as its result."""

import falcon

from api.answers import send
from api.descriptions import Content, describes
from api.guards import owner_scope, signed_in
from api.paths import id_of
from moneyflow.platform.database import Database
from moneyflow.platform.http.answers import Answer
from moneyflow.platform.jobs.store import files


class File:
    """A file: for the owner of the job that has left it, and for administrators."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    @describes(
        "read_file",
        answers={200: Content("*/*")},
        etag=True,
        headers={"Content-Disposition": "The name of the file."},
    )
    def on_get(self, request: falcon.Request, response: falcon.Response, file_id: str) -> None:
        """Return the file as a download; 304 when the client has it already."""
        parsed = id_of("file", file_id, found="the `url` in a job's result")
        with self._database.transaction() as session:
            kept = files.read(owner_scope(request, session), parsed)
        response.downloadable_as = kept.file.name
        headers = {
            "Content-Type": kept.file.content_type,
            "ETag": f'"{kept.sha256}"',
            "Cache-Control": "private, no-cache",
        }
        send(request, response, Answer(headers=headers, body=kept.file.content))
