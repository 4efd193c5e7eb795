"""Compression: answers above a kilobyte by gzip, where the client takes it.

SECURITY: only what a GET reads. A length of compressed text leaks parts of a secret to those who can place text next to
it (BREACH): a session's token and its cookie are in answers to POST, which are never compressed.
"""

import gzip
from functools import lru_cache

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
        """Compress the answer, if it is one to compress; name the form that the client has where it has it already."""
        body, etag = response.data, response.get_header("ETag")
        if response.status == falcon.HTTP_304 and etag:
            _name_form(request, response, etag)
        if body is None or not _is_compressible(request, response, len(body)):
            return
        response.append_header("Vary", "Accept-Encoding")
        if not accepts_gzip(request.get_header("Accept-Encoding") or ""):
            return
        is_public = (response.get_header("Cache-Control") or "").startswith("public")
        response.data = _compressed_once(body) if is_public else _compressed(body)
        response.set_header("Content-Encoding", "gzip")
        if etag:
            # Another form of the same state has another tag; those of a request are read without the ending.
            response.set_header("ETag", _compressed_tag(etag))


def _compressed_tag(etag: str) -> str:
    return f'{etag[:-1]}-gzip"'


def _name_form(request: falcon.Request, response: falcon.Response, etag: str) -> None:
    """Name the form that the client has in a 304: a cache updates what it keeps under that tag."""
    response.append_header("Vary", "Accept-Encoding")
    known = request.get_header("If-None-Match") or ""
    if _compressed_tag(etag) in known and etag not in known:
        response.set_header("ETag", _compressed_tag(etag))


def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, _LEVEL, mtime=0)


#: PERF: the files of the pages are the same for all; the largest takes 40 ms to compress.
_compressed_once = lru_cache(maxsize=32)(_compressed)


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
