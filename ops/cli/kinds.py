"""The kind of job that an operator names."""

import difflib

from moneyflow.jobs import Job, registry
from moneyflow.platform.errors import InvalidInputError


def contract_of(kind: str) -> type[Job]:
    """Return the kind's contract.

    Raises:
        InvalidInputError: no job is called so; says what was probably meant.
    """
    if kind in registry:
        return registry[kind]
    near = difflib.get_close_matches(kind, registry, n=1)
    meant = f"did you mean {near[0]}?" if near else "`moneyflow jobs list` shows those that are there"
    raise InvalidInputError(f"KIND: no job is called {kind!r}; {meant}")
