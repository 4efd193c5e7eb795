"""`/v1/files/{id}`: a file that a job has left as its result."""

import falcon

from api.paths import id_of
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.store import files


class File:
    """A file, for whoever holds its address: it stands in the job's result and nowhere else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def on_get(self, request: falcon.Request, response: falcon.Response, file_id: str) -> None:
        """Return the file, to be saved and not to be shown; 304 when the client has it already."""
        named = id_of("file", file_id, found="the `url` of a job's result")
        with self._database.transaction() as session:
            kept = files.read(session, named)
        response.etag = kept.sha256
        response.cache_control = ["private", "no-cache"]
        if request.if_none_match and any(tag in {kept.sha256, "*"} for tag in request.if_none_match):
            response.status = falcon.HTTP_304
            return
        response.content_type = kept.file.content_type
        response.downloadable_as = kept.file.name
        response.data = kept.file.content
