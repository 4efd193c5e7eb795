"""Compression: answers above a kilobyte by gzip, where the client takes it.

SECURITY: only what a GET reads. A length of compressed text leaks parts of a secret to those who can place text next to
it (BREACH): a session's token and its cookie are in answers to POST, which are never compressed.
"""

import gzip

import falcon

#: Bytes; below, the headers and the work cost more than is saved.
_SMALLEST = 1024
#: Level 6 takes twice the time of 5 for two percent of the length.
_LEVEL = 5
_TYPES = frozenset({
    "application/json",
    "application/schema+json",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
})  # fmt: skip


class Compression:
    """Falcon middleware: compresses the bodies of answers; a strong `ETag` then ends with `-gzip`."""

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: object, _succeeded: bool
    ) -> None:
        """Compress the answer, if it is one to compress."""
        body = response.data
        if body is None or not _is_compressible(request, response, len(body)):
            return
        response.append_header("Vary", "Accept-Encoding")
        if not accepts_gzip(request.get_header("Accept-Encoding") or ""):
            return
        response.data = gzip.compress(body, _LEVEL, mtime=0)
        response.set_header("Content-Encoding", "gzip")
        etag = response.get_header("ETag")
        if etag:
            # Another form of the same state has another tag; those of a request are read without the ending.
            response.set_header("ETag", f'{etag[:-1]}-gzip"')


def accepts_gzip(header: str) -> bool:
    """Return whether `Accept-Encoding` has gzip, by its name or as `*`, with a quality above zero."""
    qualities = {}
    for part in header.lower().split(","):
        coding, _, quality = part.replace(" ", "").partition(";q=")
        qualities[coding] = quality
    quality = qualities.get("gzip", qualities.get("*", "0"))
    return quality.strip("0.") != "" or quality == ""


def _is_compressible(request: falcon.Request, response: falcon.Response, length: int) -> bool:
    media_type = (response.content_type or falcon.MEDIA_JSON).partition(";")[0].strip()
    return (
        request.method in {"GET", "HEAD"}
        and length >= _SMALLEST
        and media_type in _TYPES
        and response.get_header("Content-Disposition") is None
        and response.get_header("Content-Encoding") is None
    )
