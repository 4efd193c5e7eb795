"""The CRM of unit tests: contacts in memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from moneyflow.gateways.crm import Answer, BatchRefusedError, Contact, Crm, Refusal, Removal


@dataclass
class FakeCrm(Crm):
    """A `Crm` that keeps its contacts by id. While `error` is set, it raises that; it refuses those of `refuses`."""

    name: str = "fake"
    url: str = "memory:"
    batch_limit: int = 100
    requests_per_second: float = 1000.0
    retry_seconds: Sequence[float] = (1.0,)
    is_readable: bool = True
    error: Exception | None = None
    refuses: dict[UUID, Refusal] = field(default_factory=dict)
    #: Whether it names those whom it refuses, or refuses each batch that has one of them.
    names_refused: bool = True
    contacts: dict[UUID, Contact] = field(default_factory=dict)
    requests: list[tuple[str, tuple[UUID, ...]]] = field(default_factory=list)

    def upsert(self, contacts: Sequence[Contact]) -> Answer:
        """Keep them, but for those whom it refuses."""
        answer = self._answer("upsert", [one.id for one in contacts])
        self.contacts |= {one.id: one for one in contacts if one.id in answer.accepted}
        return answer

    def remove(self, removals: Sequence[Removal]) -> Answer:
        """Forget them."""
        answer = self._answer("remove", [one.id for one in removals])
        for one in removals:
            self.contacts.pop(one.id, None)
        return answer

    def find(self, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, str | None]]:
        """Return those that are kept."""
        return {id_: self.contacts[id_].fields() for id_ in ids if id_ in self.contacts}

    def ids(self) -> Iterator[Sequence[UUID]]:
        """Yield all ids at once."""
        yield list(self.contacts)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _answer(self, act: str, ids: Sequence[UUID]) -> Answer:
        self.requests.append((act, tuple(ids)))
        if self.error is not None:
            raise self.error
        refused = {id_: self.refuses[id_] for id_ in ids if act == "upsert" and id_ in self.refuses}
        if refused and not self.names_refused:
            raise BatchRefusedError(next(iter(refused.values())))
        return Answer(accepted=frozenset(ids) - refused.keys(), refused=refused)
