"""Headers of every answer, errors too: what browsers may do with it, and CORS for the configured origins."""

from collections.abc import Mapping, Sequence
from typing import Any

import falcon

#: Those that every answer begins with, also one to what is no request.
#: SECURITY: an answer is data. No browser guesses its type, shows it in a frame, runs or loads anything of it, sends
#: its address to others, or gives it to a page of another site. A resource that serves a page sets its own policy.
COMMON_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
#: A year, in seconds: browsers come by https alone.
_HTTPS_ALONE = {"Strict-Transport-Security": "max-age=31536000"}

#: The headers that scripts of other origins may read.
_EXPOSED = (
    "ETag",
    "Location",
    "Retry-After",
    "X-Request-Id",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    # Of files.
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
)


def default_headers(*, is_https: bool) -> Mapping[str, str]:
    """Return the headers that every answer begins with; a resource may set others."""
    return {**COMMON_HEADERS, **_HTTPS_ALONE} if is_https else COMMON_HEADERS


class Cors(falcon.CORSMiddleware[Any, Any]):
    """Falcon middleware: lets scripts of these exact origins call the API, with cookies, and read the answers.

    A preflight may be kept for a day.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        super().__init__(allow_origins=origins, allow_credentials=origins, expose_headers=_EXPOSED)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Add the headers; `Vary` also where the origin is another one, so that no cache mixes the answers up."""
        super().process_response(req, resp, resource, req_succeeded)
        resp.append_header("Vary", "Origin")
