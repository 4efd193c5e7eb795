"""Columns: which of them are what, by the sender's mapping, by the names of the header, or by what is in them."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from moneyflow.money.currencies import DECIMALS
from moneyflow.platform.errors import InvalidInputError
from moneyflow.statements.reading import amounts, dates
from moneyflow.statements.reading.headers import plain, roles_of
from moneyflow.statements.reading.mapping import Columns, Given, Role
from moneyflow.statements.reading.records import Record
from moneyflow.statements.reading.rows import RowError

#: What a column says of the direction of an amount, in lower case.
OUT = frozenset({"s", "d", "dr", "debit", "dbit", "soll", "af", "debe", "out", "lastschrift", "-"})
IN = frozenset({"h", "c", "cr", "credit", "crdt", "haben", "bij", "haber", "in", "gutschrift", "+"})

#: A column is what so many of its values are; of one that is named so, fewer.
_MOST, _HALF = 0.8, 0.5


def find_header(records: Sequence[Record], given: Given) -> Record | None:
    """Return the first record that names the columns which the mapping names, or a date and an amount."""
    if given.has_header is False:
        return None
    wanted = {plain(name) for _, name in _given(given) if isinstance(name, str)}
    for record in records:
        names = set(map(plain, record.fields))
        if wanted:
            if wanted <= names:
                return record
        elif not given.columns and _is_header(record):
            return record
    if wanted:
        missing = ", ".join(sorted(wanted - {plain(name) for record in records for name in record.fields}))
        raise _no_columns(f"no row has columns of these names together; check {missing or 'them'}")
    return None


def find_columns(header: Record | None, rows: Sequence[Record], given: Given) -> Columns:
    """Return the places of the columns.

    Raises:
        InvalidInputError: there is no date or no amount; says what to give.
    """
    if given.columns:
        return _checked(_by_mapping(header, given))
    if header is not None:
        return _checked(_by_names(header, rows))
    return _checked(_by_content(rows))


def _is_header(record: Record) -> bool:
    roles = roles_of(record.fields)
    return "date" in roles and bool(roles.keys() & {"amount", "debit", "credit"})


def _given(given: Given) -> list[tuple[Role, str | int]]:
    pairs = []
    for role, value in given.columns.items():
        pairs += [(role, one) for one in (value if isinstance(value, tuple) else (value,))]
    return pairs


def _by_mapping(header: Record | None, given: Given) -> dict[str, Any]:
    names = [plain(name) for name in header.fields] if header else []
    found: dict[str, Any] = {}
    for role, one in _given(given):
        if isinstance(one, str) and plain(one) not in names:
            raise _no_columns(f"there is no header that names {one!r}; give the number of the column, from 1")
        place = names.index(plain(one)) if isinstance(one, str) else one - 1
        if role == "note":
            found["note"] = (*found.get("note", ()), place)
        else:
            found[role] = place
    return found


def _by_names(header: Record, rows: Sequence[Record]) -> dict[str, Any]:
    """Return the best column of each role; one of a role that its values do not fit is left out."""
    roles = roles_of(header.fields)
    found: dict[str, Any] = {"note": tuple(roles.pop("note", ()))}
    fits = {"currency": _is_currency, "direction": _is_direction}
    for role, columns in roles.items():
        fitting = [column for column in columns if role not in fits or _mostly(rows, column, fits[role], least=_HALF)]
        if fitting:
            found[role] = fitting[0]
    if "amount" in found and _mostly(rows, found["amount"], _is_amount, least=_HALF):
        found = {role: column for role, column in found.items() if role not in {"debit", "credit"}}
    elif "debit" in found or "credit" in found:
        found.pop("amount", None)
    # Columns of other names that have nothing but currencies, or but debit and credit.
    others = set(range(_width(rows))) - {column for columns in roles.values() for column in columns}
    others -= set(found["note"])
    if "currency" not in found:
        found |= _only("currency", rows, others, _is_currency)
    if "amount" in found and "direction" not in found:
        found |= _only("direction", rows, others, _is_direction)
    return found


def _by_content(rows: Sequence[Record]) -> dict[str, Any]:
    """Return the columns by what is in them: the first of dates, and the only one of amounts."""
    width = _width(rows)
    day = next((column for column in range(width) if _mostly(rows, column, dates.is_date)), None)
    found: dict[str, Any] = {} if day is None else {"date": day}
    numbers = [
        column
        for column in range(width)
        if _mostly(rows, column, _is_amount) and not _mostly(rows, column, dates.is_date)
    ]
    if len(numbers) > 1:
        listed = ", ".join(str(column + 1) for column in numbers)
        raise _no_columns(f"without a header the amount may be in any of the columns {listed}")
    if numbers:
        found["amount"] = numbers[0]
    others = set(range(width)) - set(found.values())
    found |= _only("currency", rows, others, _is_currency) | _only("direction", rows, others, _is_direction)
    taken = set(found.values())
    texts = [column for column in range(width) if column not in taken and not _mostly(rows, column, dates.is_date)]
    return found | {"note": tuple(texts)}


def _width(rows: Sequence[Record]) -> int:
    return max((len(row.fields) for row in rows), default=0)


def _only(role: str, rows: Sequence[Record], columns: AbstractSet[int], fits: Any) -> dict[str, int]:
    """Return the only one of some columns whose values are of a form; none where there are several."""
    found = [column for column in sorted(columns) if _mostly(rows, column, fits)]
    return {role: found[0]} if len(found) == 1 else {}


def _mostly(rows: Sequence[Record], column: int, fits: Any, *, least: float = _MOST) -> bool:
    values = [row.fields[column].strip() for row in rows if column < len(row.fields) and row.fields[column].strip()]
    return bool(values) and sum(map(bool, map(fits, values))) >= least * len(values)


def _is_amount(text: str) -> bool:
    try:
        amounts.split(text)
    except RowError:
        return False
    return sum(one.isalpha() for one in text) <= 3  # noqa: PLR2004 - a currency


def _is_currency(text: str) -> bool:
    return text.upper() in DECIMALS


def _is_direction(text: str) -> bool:
    return text.casefold() in OUT | IN


def _checked(found: Mapping[str, Any]) -> Columns:
    if "date" not in found:
        raise _no_columns("no column of dates is found")
    if not found.keys() & {"amount", "debit", "credit"}:
        raise _no_columns("no column of amounts is found")
    return Columns(**found)


def _no_columns(problem: str) -> InvalidInputError:
    detail = f'{problem}; give the mapping\'s columns by name or number, as {{"columns": {{"date": 1, "amount": 4}}}}'
    return InvalidInputError(f"mapping.columns: {detail}", (("/mapping/columns", detail),))
