"""Sending answers: an `Answer` of the framework-free pieces becomes Falcon's response."""

from http import HTTPStatus
from uuid import UUID

import falcon
from typing_extensions import TypedDict

from api.paths import job_url
from moneyflow.platform.http import etags
from moneyflow.platform.http.answers import Answer, json_answer


class Accepted(TypedDict):
    """A request that was written down; the job does its work."""

    job_id: UUID


def accepted(job_id: UUID) -> Answer:
    """Return a 202 for work that a job does; its `Location` is the job."""
    shown: Accepted = {"job_id": job_id}
    return json_answer(shown, status=HTTPStatus.ACCEPTED, headers={"Location": job_url(job_id)})


def send(request: falcon.Request, response: falcon.Response, answer: Answer) -> None:
    """Write the answer into the response; 304 without a body when a read names its `ETag` in `If-None-Match`."""
    etag = answer.headers.get("ETag")
    is_known = etag is not None and etags.is_listed(etag, if_none_match=request.get_header("If-None-Match"))
    if request.method in {"GET", "HEAD"} and is_known:
        response.status = falcon.HTTP_304
    else:
        response.status = f"{int(answer.status)} {HTTPStatus(answer.status).phrase}"
        response.data = answer.body
    for name, value in answer.headers.items():
        if response.data is not None or not name.startswith("Content-"):  # An answer without content describes none.
            response.set_header(name, value)
