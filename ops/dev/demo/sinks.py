"""Sinks: what analytics and the CRM have of the people of a play, compared with their books and accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ops.dev.demo.books import ExpectedBooks

#: An address and a name.
Contact = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class SeenSinks:
    """What the sinks have."""

    #: By `income` and `expense`, then by currency.
    sums: Mapping[str, Mapping[str, Decimal]]
    people: Sequence[Contact]
    contacts: Sequence[Contact]
    #: Events that were set aside and are written.
    reprocessed: int

    def faults(self, expected: ExpectedBooks) -> list[str]:
        """Return what differs."""
        wanted = {"income": expected.income, "expense": expected.expense}
        found = [
            f"{what} in analytics: {dict(self.sums[what])}, not {sums}"
            for what, sums in wanted.items()
            if self.sums[what] != sums
        ]
        if _lowered(self.people) != _lowered(self.contacts):
            missing = len(set(_lowered(self.people)) - set(_lowered(self.contacts)))
            found.append(
                f"the CRM has {len(self.contacts)} contacts of {len(self.people)} people, {missing} not as here"
            )
        if not self.reprocessed:
            found.append("no event was set aside by analytics and written later")
        return found


def _lowered(contacts: Sequence[Contact]) -> list[Contact]:
    """Return them with addresses as CRMs keep them."""
    return sorted((address.lower(), name) for address, name in contacts)
