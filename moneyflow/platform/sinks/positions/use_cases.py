"""Use cases for the positions of sinks, as command line and web console present them.

The overview shows where each sink is; an operation skips or rewinds it, after a preview of what that means.
"""

from dataclasses import dataclass

from moneyflow.platform.database import Database
from moneyflow.platform.operations.engine import Operations
from moneyflow.platform.operations.reports import Preview
from moneyflow.platform.operations.sources import Item, Order
from moneyflow.platform.settings import KafkaSettings
from moneyflow.platform.sinks.positions import overview, rows
from moneyflow.platform.sinks.positions.overview import Partition
from moneyflow.platform.sinks.positions.rows import SKIP, Place
from moneyflow.platform.sinks.positions.source import Positions


@dataclass(frozen=True, kw_only=True)
class Consequence:
    """What a move of one position means.

    `records` are skipped, or read again; of those that are skipped Kafka has `kept`. None is unknown: of a Kafka that
    lost its records. `dead_letters` are those of the records that are read again, by state.
    """

    place: Place
    start: int | None
    end: int
    records: int | None
    kept: int | None
    gap: str | None
    dead_letters: dict[str, int]


class SinkPositions:
    """The use cases over Postgres and Kafka. `operations` previews, freezes, runs and reports."""

    def __init__(self, settings: KafkaSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self.operations = Operations(database, [Positions(settings, database)])

    def overview(self, *, sink: str | None = None) -> list[Partition]:
        """Return every partition of all sinks, or of one; raises InvalidInputError, UnavailableError."""
        return overview.overview(self._settings, self._database, sink=sink)

    def consequences(self, order: Order, preview: Preview) -> list[Consequence]:
        """Return what the moves of a preview mean."""
        return [self._consequence(order.verb, one.item) for one in preview.items]

    def _consequence(self, verb: str, item: Item) -> Consequence:
        assert item.content is not None, "each move has its offsets"
        place, content = Place.of(item.item_id), item.content
        start, end, oldest, newest = (content[name] for name in ("from", "to", "oldest", "newest"))
        is_lost = start is None or start > newest
        if verb == SKIP:
            records = None if is_lost else max(0, end - start)
            kept = None if is_lost else max(0, end - max(start, oldest))
            return Consequence(
                place=place, start=start, end=end, records=records, kept=kept, gap=content["gap"], dead_letters={}
            )
        with self._database.transaction() as session:
            letters = rows.dead_letters_from(session, place, end)
        records = None if is_lost else max(0, start - end)
        return Consequence(
            place=place, start=start, end=end, records=records, kept=records, gap=content["gap"], dead_letters=letters
        )
