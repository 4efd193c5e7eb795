"""Trouble with the sinks, and its repair: the CRM is down for a while, and analytics cannot write one event.

A trigger refuses one amount as bad data, as a bug in the sink would: its event is set aside as a dead letter, and those
around it are written. Then the trigger is dropped, as a new version mends a bug, and an operator's command has the sink
write the event.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import Self

import httpx
import psycopg
from psycopg import sql

from moneyflow.settings import AllSettings
from ops.dev.stack.contract import StackError

_BREAK = sql.SQL("""
create function analytics.refuse_an_amount() returns trigger language plpgsql as $$
begin raise exception 'this amount is refused by the demo' using errcode = 'data_exception'; end $$;
create trigger refuse_an_amount before insert or update on analytics.transactions for each row
    when (new.amount = {amount} and new.currency = {currency}) execute function analytics.refuse_an_amount()
""")
_MEND = sql.SQL("""
drop trigger if exists refuse_an_amount on analytics.transactions;
drop function if exists analytics.refuse_an_amount()
""")
_DEAD_LETTERS = """
select count(*) from event_dead_letters
where sink = 'analytics' and error_message like '%%refused by the demo%%' and state = %s
"""
_OUTAGE = [{"kind": "error", "times": None}]
_REPROCESS = ("events", "dead-letter", "reprocess", "--sink", "analytics", "--reason", "the bug is mended", "--yes")


class Trouble:
    """The CRM's outage and the bug of analytics; at the end of the block nothing of either is left."""

    def __init__(self, settings: AllSettings, environment: Mapping[str, str]) -> None:
        self._environment = os.environ | environment
        self._owner = psycopg.connect(settings.conninfo("owner", application_name="demo"), autocommit=True)
        self._crm = httpx.AsyncClient(base_url=settings.crm_url, timeout=20, trust_env=False)

    async def __aenter__(self) -> Self:
        await self._clear()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._clear()
        await self._crm.aclose()
        self._owner.close()

    async def break_analytics(self, amount: Decimal, currency: str) -> None:
        """Let the sink fail on each event with this amount."""
        await self._run(_BREAK.format(amount=sql.Literal(amount), currency=sql.Literal(currency)))

    async def mend_analytics(self) -> None:
        """Remove the bug, and have the sink write what it had failed on, by the operators' command.

        Raises:
            StackError: the command failed; the text has what it printed.
        """
        await self._run(_MEND)
        command = [sys.executable, "-m", "ops.cli", *_REPROCESS]
        done = await asyncio.to_thread(
            subprocess.run, command, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StackError(f"moneyflow {' '.join(_REPROCESS)} failed: {done.stdout}{done.stderr}")

    async def dead_letters(self, state: str) -> int:
        """Return how many events of this bug are in a state, such as `dead`."""
        found = await asyncio.to_thread(lambda: self._owner.execute(_DEAD_LETTERS, [state]).fetchall())
        return int(found[0][0])

    async def stop_crm(self) -> None:
        """Let the CRM answer every request with an error."""
        (await self._crm.put("/admin/faults", json=_OUTAGE)).raise_for_status()

    async def refused_by_crm(self) -> int:
        """Return how many requests the CRM has answered so."""
        return int((await self._crm.get("/admin")).raise_for_status().json()["faults_met"].get("error", 0))

    async def start_crm(self) -> None:
        """End the outage."""
        (await self._crm.delete("/admin/faults")).raise_for_status()

    async def contacts(self) -> list[tuple[str, str]]:
        """Return the address and the name of each contact of the CRM, in order."""
        found = (await self._crm.get("/admin/contacts")).raise_for_status().json()["contacts"]
        of_people = [one["properties"] for one in found if not one["archived"]]
        return sorted((one.get("email", ""), one.get("firstname", "")) for one in of_people)

    async def _clear(self) -> None:
        """Remove what this play, or one that was killed, has left."""
        await self._run(_MEND)
        await self.start_crm()

    async def _run(self, statement: sql.SQL | sql.Composed) -> None:
        await asyncio.to_thread(lambda: self._owner.execute(statement))
