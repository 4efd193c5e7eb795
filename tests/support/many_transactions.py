"""Many transactions of one user, next to those of others, written by Postgres itself: what is rare and what is common.

Days, words and tags are spread over twenty years, but for the word and the tag of one decade.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.ids import new_id

FIRST_DAY = dt.date(2006, 1, 1)
DAYS = 7300
#: Of each category's transactions the share is less than that of the one before. The first ten are subcategories.
CATEGORIES = 30
SUBCATEGORIES = 10
#: Of the ten income categories the share is 2 %, evenly.
INCOME_CATEGORIES = range(20, CATEGORIES)

#: Rows of a statement, each of which has a time limit.
_AT_ONCE = 20_000

_INSERT = """
insert into transactions (id, user_id, kind, amount, currency, date, note, tags, category_id, deleted_at)
values (%(id)s, %(user_id)s, %(kind)s, %(amount)s, %(currency)s, %(date)s, %(note)s, %(tags)s, %(category_id)s,
        case when %(deleted)s then now() end)
"""

_ADD_CATEGORIES = """
insert into categories (id, user_id, kind, name, parent_id)
select (%(ids)s::uuid[])[number], %(user_id)s, case when number > 20 then 'income' else 'expense' end, 'a name',
    case when number between 2 and 11 then (%(ids)s::uuid[])[1] end
from generate_series(1, 30) as number
"""

# The random numbers of a row are drawn once, in the innermost query.
_ADD = """
insert into transactions (id, user_id, kind, amount, currency, date, note, tags, category_id)
select gen_random_uuid(), %(user_id)s, case when is_income then 'income' else 'expense' end,
    round((exp(3 + r1 * 4))::numeric, 2), (array['EUR', 'EUR', 'EUR', 'USD', 'GBP'])[1 + floor(r2 * 5)::int],
    %(first_day)s::date + day,
    concat_ws(' ', case when r3 < 0.5 then 'Card payment' end, 'merchant' || floor(r4 * r4 * 5000)::int,
        case when r5 < 0.002 then 'dentist' end, case when r6 < 0.00005 then 'Zyxwvut' end,
        case when day < 3650 and r7 < 0.3 then 'oldmarket' end),
    array_remove(array[
        case when r8 < 0.2 then 'groceries' end, case when r9 < 0.003 then 'trip' end,
        case when r10 < 0.00002 then 'wedding' end, case when day < 3650 and r11 < 0.3 then 'oldhouse' end], null),
    case when r12 < 0.95 then
        (%(ids)s::uuid[])[case when is_income then 21 + floor(r13 * 10)::int else 1 + floor(r13 ^ 3 * 20)::int end] end
from (
    select floor(random() * %(days)s)::int as day, random() < 0.02 as is_income, random() as r1, random() as r2,
        random() as r3, random() as r4, random() as r5, random() as r6, random() as r7, random() as r8, random() as r9,
        random() as r10, random() as r11, random() as r12, random() as r13
    from generate_series(1, %(count)s)
) as drawn
"""


def add_user(session: Session) -> UUID:
    """Add an active user and return its id."""
    user_id = new_id()
    session.execute(
        "insert into users (id, email, name, activated_at) values (%(id)s, %(email)s, 'Ada', now())",
        {"id": user_id, "email": f"{user_id}@mail.example"},
    )
    return user_id


def add_transactions(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store transactions of which each field is known, some of them deleted."""
    session.execute_many(_INSERT, rows)


def add_many(session: Session, user_id: UUID, count: int) -> list[UUID]:
    """Store categories and this many transactions of a user, the same with each run; return the categories' ids."""
    ids = [new_id() for _ in range(CATEGORIES)]
    session.execute(_ADD_CATEGORIES, {"user_id": user_id, "ids": ids})
    session.execute("select setseed(0.5)")
    parameters = {"user_id": user_id, "ids": ids, "first_day": FIRST_DAY, "days": DAYS}
    for first in range(0, count, _AT_ONCE):
        session.execute(_ADD, {**parameters, "count": min(_AT_ONCE, count - first)})
    return ids
