"""`/docs`: the OpenAPI document for people, in a browser. No file of it comes from another host."""

import hashlib
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Literal, get_args

import falcon
from jinja2 import Environment, FileSystemLoader

from api.answers import send
from api.descriptions import Content, describes
from api.guards import public
from api.openapi.errors import AT_THE_DOOR, EVERY
from api.resources.documents import CACHED
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.http.answers import Answer

Name = Literal["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png", "start.js", "problems.css"]

_HTML = "text/html; charset=utf-8"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".png": "image/png"}
#: SECURITY: scripts, styles and requests of this host alone. Icons of Swagger UI's style sheet are `data:`.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OWN = Path(__file__).parents[1] / "pages"
_SWAGGER_UI = "drf_spectacular_sidecar/static/drf_spectacular_sidecar/swagger-ui-dist"


class Docs:
    """The reference of the API."""

    @public
    @describes("read_docs", answers={200: Content("text/html")}, etag=True, local=True)
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Return the page that shows the OpenAPI document, and tries its operations out."""
        send(request, response, _page("docs.html"))


class DocsFile:
    """The scripts, styles and images of the pages."""

    @public
    @describes("read_docs_file", answers={200: Content("*/*")}, parameters={"name": Name}, etag=True, local=True)
    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Return a file of the pages."""
        if name not in get_args(Name):
            raise NotFoundError(f"there is no file {name!r}; the page /docs names those that there are")
        send(request, response, _file(name))


class Problems:
    """The explanation of every problem."""

    @public
    @describes("read_problems", answers={200: Content("text/html")}, etag=True, local=True)
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Return the page that explains every problem; the `type` of a problem leads here."""
        send(request, response, _problems())


@cache
def _page(name: str) -> Answer:
    return _constant((_OWN / name).read_bytes(), _HTML)


@cache
def _problems() -> Answer:
    environment = Environment(loader=FileSystemLoader(_OWN), autoescape=True, trim_blocks=True)
    kinds = sorted((*EVERY, *AT_THE_DOOR), key=lambda kind: kind.status)
    return _constant(environment.get_template("problems.jinja").render(kinds=kinds).encode(), _HTML)


@cache
def _file(name: str) -> Answer:
    own = _OWN / name
    # The distribution is asked for the file: its package would import Django, which is not installed.
    path = own if own.exists() else Path(str(distribution("drf-spectacular-sidecar").locate_file(_SWAGGER_UI))) / name
    return _constant(path.read_bytes(), _TYPES[path.suffix])


def _constant(content: bytes, content_type: str) -> Answer:
    headers = {
        "Content-Type": content_type,
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "Cache-Control": CACHED,
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
    }
    return Answer(headers=headers, body=content)
