"""By the text of a statement it is known whether it may leave something on its session."""

import pytest

from moneyflow.platform.connections import leaves_state
from moneyflow.platform.jobs import enqueue
from moneyflow.platform.jobs.store import claims, completion

_PLAIN = (
    "select 1", " \n select 1", "-- a comment\nselect 1", "/* a * comment */ Select 1", "insert into t values (1)",
    "update t set a = 1", "delete from t", "with x as (select 1) select * from x", "values (1)", "SELECT 1;",
    "select 1 ; \n", "set local work_mem = '9MB'", "set transaction read only", "set constraints all deferred",
    "select pg_advisory_xact_lock(1)", "select pg_try_advisory_xact_lock(1)", "copy t from stdin", "notify x",
    "savepoint a", "rollback to a", "rollback to savepoint a", "release savepoint a", "lock table t in share mode",
    "select set_config('app.user', '7', true)", "select jsonb_set(a, '{b}', '1') from t", "select template from mails",
    "select a_setseed from t", "insert into temperatures values (1)",
)  # fmt: skip
_LEAVING = (
    "set timezone = 'UTC'", "SET work_mem = 1", "set session work_mem = 1", "reset all",
    "select set_config('a.b', '7', false)",
    "select set_config('a.b', '7', true), set_config('a.b', '7', false)", 'select "set_config"(\'a.b\', \'7\', false)',
    "select pg_advisory_lock(1)", "select pg_advisory_lock_shared(1)", "select PG_TRY_ADVISORY_LOCK(1)",
    "select pg_advisory_unlock_all()", "create temp table t ()", "select 1 into temp t", "select 1 into temporary t",
    "select 1 into pg_temp.t", 'select 1 into "pg_temp".t', "listen x", "unlisten *", "prepare a as select 1",
    "execute a", "deallocate all", "declare a cursor with hold for select 1", "select setseed(0.5)", "load 'x'",
    "do $$ begin end $$", "call f()", "select 1; set timezone = 'UTC'", "select dblink_connect('x')",
    "set role x", "set session authorization x", "commit", "begin", "discard all", "", "-- nothing", "/* select 1",
    "/* /* */ */ set a = 1", "select u&\"set\\005fconfig\"('a.b', '7', false)", "alter table t add b int",
)  # fmt: skip


@pytest.mark.parametrize("statement", _PLAIN)
def test_a_plain_statement_leaves_nothing(statement: str) -> None:
    assert not leaves_state(statement)


@pytest.mark.parametrize("statement", _LEAVING)
def test_any_other_statement_may_leave_something(statement: str) -> None:
    assert leaves_state(statement)
    assert leaves_state(statement.encode())


def test_the_statements_of_every_attempt_are_plain() -> None:
    queries = [*completion.QUERIES.values(), claims.QUERIES["report"], *enqueue._QUERIES.values()]

    assert [query for query in queries if leaves_state(query)] == []


@pytest.mark.parametrize(
    "long", [" ", "/*", "--", "select set_config(", "into ", "into  ", ";  ", "select set_config(,"]
)
def test_a_long_text_is_looked_at_in_linear_time(long: str) -> None:
    assert leaves_state(long * 300_000) in {True, False}
