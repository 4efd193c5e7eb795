"""Downloads: a file of the storage as an answer, whole or a part; by nginx where it is in front, else by this process.

No file is held in memory: the server sends an open file piece by piece. nginx sends a file by itself when the answer
names it in `X-Accel-Redirect`, and says that it does by `X-Sendfile-Type`, as it does for Rack; that header of a client
is overwritten by nginx, and believed of a trusted proxy alone. A bucket sends its files by itself: the client is
redirected to an address that holds for a minute.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from io import FileIO
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import falcon
import structlog

from api.proxies import is_in
from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.disposition import attachment
from moneyflow.gateways.storage.reading import Part
from moneyflow.platform.errors import NotFoundError, UnavailableError
from moneyflow.platform.http import ranges
from moneyflow.platform.http.ranges import State, UnsatisfiableRangeError

log = structlog.get_logger(__name__)

#: Seconds for which the address of a file in a bucket holds.
LINK_SECONDS = 60
#: Where nginx has the folder of private files (ops/docker/nginx/nginx.conf.template).
_NGINX_FOLDER = "/private-files/"
#: SECURITY: a file that a user has made runs nothing, also when a browser opens it by itself.
_POLICY = "default-src 'none'; sandbox"


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file as it is answered; without a `name` it is shown, and not saved. `headers` are the resource's own."""

    key: str
    content_type: str
    state: State
    name: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Downloads:
    """Answers with files of the storage."""

    def __init__(self, storage: Storage, *, trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self._storage = storage
        self._trusted_proxies = trusted_proxies

    def send(self, request: falcon.Request, response: falcon.Response, download: Download) -> None:
        """Answer with the file, its part, a redirect, or 304 when the client has it.

        Raises:
            NotFoundError: the file is missing in the storage.
            UnavailableError: the storage is down.
            falcon.HTTPRangeNotSatisfiable: it has no such bytes.
        """
        _describe(response, download)
        if ranges.is_known(
            download.state,
            if_none_match=request.get_header("If-None-Match"),
            if_modified_since=request.get_header("If-Modified-Since"),
        ):
            response.status = falcon.HTTP_304
            return
        link = self._storage.link(
            download.key, name=download.name, content_type=download.content_type, seconds=LINK_SECONDS
        )
        if link is not None:
            _redirect(response, link, is_public=download.key.startswith("public/"))
            return
        response.content_type = download.content_type
        if download.name:
            response.set_header("Content-Disposition", attachment(download.name))
        if self._is_behind_nginx(request) and download.key.startswith("private/"):
            response.set_header("X-Accel-Redirect", _NGINX_FOLDER + download.key.removeprefix("private/"))
        else:
            self._send_part(request, response, download)

    def _is_behind_nginx(self, request: falcon.Request) -> bool:
        sends = request.get_header("X-Sendfile-Type") == "X-Accel-Redirect"
        return sends and is_in(request.remote_addr, self._trusted_proxies)

    def _send_part(self, request: falcon.Request, response: falcon.Response, download: Download) -> None:
        """Answer with an open file at the first byte that the client asks for."""
        path = self._storage.path(download.key)
        assert path is not None, "a storage without paths has links"
        file = _opened(path, is_public=download.key.startswith("public/"))
        try:
            size = os.fstat(file.fileno()).st_size
            start, wanted = _part_of(request, response, download.state, size)
            file.seek(start)
        except BaseException:
            file.close()
            raise
        response.content_length = wanted
        response.set_header("Accept-Ranges", "bytes")
        if request.method == "HEAD":
            file.close()
        else:
            response.stream = OpenPart(file, size=wanted)


class OpenPart(Part):
    """A part of an open file: a server sends it by its descriptor, from where it stands, or reads it to its end."""

    def __init__(self, file: FileIO, *, size: int) -> None:
        super().__init__(file.read, size=size)
        self._file = file

    def fileno(self) -> int:
        """Return the descriptor of the file."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _describe(response: falcon.Response, download: Download) -> None:
    response.set_header("ETag", download.state.etag)
    response.set_header("Last-Modified", download.state.last_modified)
    response.set_header("Content-Security-Policy", _POLICY)
    response.set_headers(download.headers)


def _redirect(response: falcon.Response, link: str, *, is_public: bool) -> None:
    """Redirect to the bucket; caches may keep that of a public file for half of the time that it holds."""
    response.status = falcon.HTTP_307
    response.location = link
    response.set_header("Cache-Control", f"public, max-age={LINK_SECONDS // 2}" if is_public else "no-store")


def _opened(path: Path, *, is_public: bool) -> FileIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        if is_public:  # Everyone may ask for any name; the file of a private one has a row.
            raise NotFoundError("there is no public file at this address") from None
        log.error("file_missing", file=path.name)  # noqa: TRY400 - where it is opened says nothing
        raise NotFoundError("the file is missing in the storage; report the id in `instance`") from None
    except OSError as error:
        raise UnavailableError(f"the storage failed: {error.strerror or error}; see the runbook, storage") from error


def _part_of(request: falcon.Request, response: falcon.Response, state: State, size: int) -> tuple[int, int]:
    """Return the first byte and the number of bytes to send; the answer says which part it is."""
    range_header = request.get_header("Range") if request.method == "GET" else None
    try:
        part = ranges.part_of(size, state, range_header=range_header, if_range=request.get_header("If-Range"))
    except UnsatisfiableRangeError:
        raise falcon.HTTPRangeNotSatisfiable(
            size, description=f"the file has {size} bytes; ask for some of those"
        ) from None
    if part is None:
        return 0, size
    start, wanted = part
    response.status = f"{HTTPStatus.PARTIAL_CONTENT.value} {HTTPStatus.PARTIAL_CONTENT.phrase}"
    response.set_header("Content-Range", f"bytes {start}-{start + wanted - 1}/{size}")
    return start, wanted
