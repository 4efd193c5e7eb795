"""Use cases for dead letters of events, as command line and web console present them.

Groups and lists show what a sink could not write and why; operations reprocess, discard and restore it.
"""

from uuid import UUID

from moneyflow.platform.database import Database
from moneyflow.platform.operations.engine import Operations
from moneyflow.platform.sinks.dead_letters import groups
from moneyflow.platform.sinks.dead_letters.filters import Filter, State
from moneyflow.platform.sinks.dead_letters.groups import Detail, Group, Page
from moneyflow.platform.sinks.dead_letters.source import DeadLetters


class DeadEvents:
    """The use cases over Postgres. `operations` previews, freezes, runs and reports."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.operations = Operations(database, [DeadLetters(database)])

    def groups(self, chosen: Filter) -> list[Group]:
        """Return the groups of what is dead, the most numerous first; raises InvalidInputError, NotFoundError."""
        with self._database.transaction() as session:
            return groups.groups(session, chosen)

    def page(self, chosen: Filter, *, state: State = "dead", limit: int) -> Page:
        """Return the newest dead letters of a state that match; raises as `groups`."""
        with self._database.transaction() as session:
            return groups.page(session, chosen, state=state, limit=limit)

    def show(self, dead_letter: UUID) -> Detail:
        """Return a dead letter in full; raises NotFoundError."""
        with self._database.transaction() as session:
            return groups.detail(session, dead_letter)
