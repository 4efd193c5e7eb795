"""The statements of the relay by their names, for tests that run them on a connection of its role."""

from collections.abc import Mapping
from typing import LiteralString

from moneyflow.platform.events import publication as events
from moneyflow.platform.jobs import batches as authors
from moneyflow.platform.jobs.store import admission, batches, control, publication, rescue, status

QUERIES: Mapping[str, LiteralString] = {
    **control.QUERIES,
    **status.QUERIES,
    **authors.QUERIES,
    **batches.QUERIES,
    **publication.QUERIES,
    **rescue.QUERIES,
    **admission.QUERIES,
    **events.QUERIES,
}
