"""Constraints: what Postgres refuses of money, as an error that names what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import ForeignKeyViolation

from moneyflow.platform.errors import InvalidInputError, NotFoundError

_NO_CATEGORY = "must be the id of a category of yours, of the kind of the transaction"
_NO_PARENT = (
    "must be the id of a category of yours at the top, of the same kind, and this one must have no subcategories"
)
_PROBLEMS = {
    "transactions_category_fkey": ("/category_id", _NO_CATEGORY),
    "categories_parent_fkey": ("/parent_id", _NO_PARENT),
}
_OF_THE_USER = frozenset({"transactions_user_id_fkey", "categories_user_id_fkey"})


@contextmanager
def checked() -> Iterator[None]:
    """Run a statement whose rows refer to a category or a user.

    Raises:
        InvalidInputError: there is no such category; `errors` names the member.
        NotFoundError: the account was deleted.
    """
    try:
        yield
    except ForeignKeyViolation as error:
        name = error.diag.constraint_name or ""
        if name in _OF_THE_USER:
            raise NotFoundError("the account does not exist any more") from None
        if name not in _PROBLEMS:
            raise
        pointer, problem = _PROBLEMS[name]
        raise InvalidInputError(f"{pointer[1:]} {problem}", ((pointer, problem),)) from None


def no_category(pointer: str) -> tuple[str, str]:
    """Return the problem of a category that there is not, or of another kind."""
    return pointer, _NO_CATEGORY
