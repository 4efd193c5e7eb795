"""`python -m api.openapi`: print the document; it takes no server and no setting."""

import logging
import sys

import falcon.testing
import structlog

from api.app import create_app, wire
from moneyflow.platform.database import Database
from moneyflow.settings import ApiSettings, load

#: For a setting that is required; documents sign nothing.
_PLACEHOLDER = "documents need no secret; nothing is signed"


def app() -> falcon.App[falcon.Request, falcon.Response]:
    """Return the application as it is deployed, for what it answers without a server."""
    settings = load(ApiSettings, {"SECRET_KEY": _PLACEHOLDER})
    return create_app(wire(settings, Database("", size=1)))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sys.stdout.buffer.write(falcon.testing.simulate_get(app(), "/openapi.json").content)
