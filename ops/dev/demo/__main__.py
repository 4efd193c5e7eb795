"""`python -m ops.dev.demo`: start the stack, play the main job on real input; exit with 0 only when every sum holds."""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Awaitable, Callable

import httpx
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from moneyflow.platform.telemetry.start import run
from moneyflow.settings import load_all
from ops.dev.demo import view
from ops.dev.demo.books import Plan
from ops.dev.demo.crowd import Crowd
from ops.dev.demo.people import read_people
from ops.dev.demo.report import Expected, Outcome, promised, unfinished
from ops.dev.demo.sinks import SeenSinks
from ops.dev.demo.trouble import Trouble
from ops.dev.demo.watch import Watch
from ops.dev.stack.__main__ import With, print_addresses
from ops.dev.stack.choice import Stack, choose, start
from ops.dev.stack.contract import StackError
from ops.dev.stack.https import client_options

_REST_SECONDS = 120.0
_LOOK_SECONDS = 0.3
_LINE_SECONDS = 3.0
_BACK_SECONDS = 30.0
_LOG_WIDTH = 120
#: The number of the person whose salary analytics cannot write at first.
_REFUSED_BY_ANALYTICS = 12
#: So many make each kind of visit, and one of the last of them imports a long statement while the others are done.
_FEWEST_PEOPLE = 60


class Play:
    """One play: the crowd, the watch, and workers that are killed meanwhile.

    `people`: play the first of them alone; None plays all.
    """

    def __init__(self, stack: Stack, console: Console, *, people: int | None = None) -> None:
        self._stack = stack
        self._console = console
        self._settings = load_all(stack.environment())
        tag = secrets.token_hex(3)
        self._people = read_people(tag)[:people]
        self._happened = [f"{len(self._people)} people of people.csv, all with +{tag} in their address"]
        self._kills = 0
        api = httpx.AsyncClient(**client_options(stack.environment()), timeout=30)
        self._crowd = Crowd(people=self._people, tag=tag, api=api)
        self._trouble = Trouble(self._settings, stack.environment())
        self._is_repaired = False
        self._watch = Watch(self._settings, tag=tag, prefix=self._crowd.prefix, on_mail=self._crowd.follow)
        self._dead_letters_before = 0

    async def run(self) -> Outcome:
        """Play to the end and return the outcome."""
        await self._watch.start()
        self._dead_letters_before = await asyncio.to_thread(self._watch.dead_letters)
        try:
            async with self._trouble:
                plan = Plan.of(next(person for person in self._people if person.number == _REFUSED_BY_ANALYTICS))
                await self._trouble.break_analytics(plan.salary, plan.currency)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._crowd.sign_up())
                    group.create_task(self._kill_workers())
                    group.create_task(self._make_trouble())
                    group.create_task(self._show())
                return await self._outcome()
        finally:
            await self._crowd.api.aclose()
            await self._watch.close()

    async def _kill_workers(self) -> None:
        """Kill a worker once a third of the people have signed up, and one once a third of them have paid."""
        third = len(self._people) // 3
        await self._crowd.answered(third)
        await self._kill_a_worker(f"after {len(self._crowd.answers)} answers")
        await self._crowd.visited(third)
        await self._kill_a_worker(f"after {len(self._crowd.visits.books.paying)} payments were accepted")
        await self._interrupt_an_import()

    async def _make_trouble(self) -> None:
        """Stop the CRM until it has refused something and more people have come; mend analytics once it has failed."""
        third = len(self._people) // 3
        await self._crowd.answered(third)
        refused = await self._trouble.refused_by_crm()
        await self._trouble.stop_crm()
        self._happened.append(f"the CRM is down after {len(self._crowd.answers)} answers")
        await self._crowd.visited(third)
        await self._until(self._trouble.refused_by_crm, above=refused, what="a request to the CRM")
        await self._trouble.start_crm()
        refused = await self._trouble.refused_by_crm() - refused
        self._happened.append(f"the CRM is up again; it has refused {refused} requests")
        await self._until(lambda: self._trouble.dead_letters("dead"), above=0, what="a dead letter of analytics")
        self._happened.append("analytics has set an event aside that it cannot write, and written the others")
        await self._trouble.mend_analytics()
        self._is_repaired = True
        self._happened.append("analytics is mended, and an operator's command had it write the event")

    async def _until(self, count: Callable[[], Awaitable[int]], *, above: int, what: str) -> None:
        began = time.monotonic()
        while await count() <= above:
            if time.monotonic() - began > _REST_SECONDS:
                raise StackError(f"no sign of {what} within {_REST_SECONDS:.0f} s; read {self._stack.logs_hint()}")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _interrupt_an_import(self) -> None:
        """Kill the worker that reads a long statement, once it has written some rows."""
        before = await asyncio.to_thread(self._watch.interrupted_imports)
        while len(self._crowd.visits.done) < Expected.of(self._people).activated:
            if await asyncio.to_thread(self._watch.interrupted_imports) > before:
                return
            reader = await asyncio.to_thread(self._watch.importing_worker)
            if reader is not None:
                await self._kill_a_worker("while it imported a statement", registered=reader)
            await asyncio.sleep(0.02)

    async def _kill_a_worker(self, moment: str, *, registered: str | None = None) -> None:
        """Kill a worker, and wait until it runs again; one that is `registered` so may have ended already."""
        name = await asyncio.to_thread(self._stack.kill, "worker", registered=registered)
        if name is None and registered is None:
            raise StackError("no worker runs; start the stack with `make up`")
        if name is None:
            return
        self._kills += 1
        self._happened.append(f"{name} was killed (SIGKILL) {moment}")
        began = time.monotonic()
        while not any(process.name == name for process in await asyncio.to_thread(self._stack.processes)):
            if time.monotonic() - began > _BACK_SECONDS:
                raise StackError(
                    f"{name} did not start again within {_BACK_SECONDS:.0f} s; read {self._stack.logs_hint()}"
                )
            await asyncio.sleep(0.1)
        self._happened.append(f"{name} runs again after {time.monotonic() - began:.1f} s")

    async def _show(self) -> None:
        """Read the servers and draw until nothing is left to do."""
        live = Live(console=self._console, refresh_per_second=5) if self._console.is_terminal else None
        deadline, printed_at = None, 0.0
        if live:
            live.start()
        try:
            while True:
                await self._watch.look()
                if live:
                    live.update(view.draw(self._crowd, self._watch.seen, self._happened))
                elif time.monotonic() - printed_at > _LINE_SECONDS:
                    printed_at = time.monotonic()
                    self._console.print(view.line(self._crowd, self._watch.seen), highlight=False, soft_wrap=True)
                if len(self._crowd.answers) == len(self._people):
                    deadline = deadline or time.monotonic() + _REST_SECONDS
                    if (self._is_at_rest() and await self._sinks_have_all()) or time.monotonic() > deadline:
                        return
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            if live:
                live.stop()

    def _is_at_rest(self) -> bool:
        seen, expected = self._watch.seen, Expected.of(self._people)
        return (
            not unfinished(seen)
            and seen.activated == expected.activated
            and len(self._crowd.visits.done) == expected.activated
            and promised(seen) >= expected.jobs
            and sum(row["events"] for row in seen.audited.values()) == sum(expected.events.values())
            and len(seen.types) == sum(expected.events.values())
        )

    async def _sinks_have_all(self) -> bool:
        """Say whether analytics and the CRM have all that the people did."""
        return self._is_repaired and not (await self._sinks()).faults(Expected.of(self._people).books)

    async def _sinks(self) -> SeenSinks:
        contacts = await self._trouble.contacts()
        return SeenSinks(
            sums=await asyncio.to_thread(self._watch.analytics),
            people=await asyncio.to_thread(self._watch.people),
            contacts=self._watch.of_this_play(contacts),
            reprocessed=await self._trouble.dead_letters("reprocessed"),
        )

    async def _outcome(self) -> Outcome:
        await self._watch.look()  # Sees mails that were sent after the last look.
        failures = await asyncio.to_thread(self._watch.failures)
        dead_letters = 0
        for _ in range(50):  # The relay may have yet to publish the last one.
            dead_letters = await asyncio.to_thread(self._watch.dead_letters) - self._dead_letters_before
            if dead_letters >= len(failures):
                break
            await asyncio.sleep(0.1)
        return Outcome(
            people=self._people,
            crowd=self._crowd,
            seen=self._watch.seen,
            failures=failures,
            bounced=await asyncio.to_thread(self._watch.bounced),
            mail_jobs=await asyncio.to_thread(self._watch.mail_jobs),
            chains=await asyncio.to_thread(self._watch.chains),
            dead_letters=dead_letters,
            lost_claims=await asyncio.to_thread(self._watch.lost_claims),
            kills=self._kills,
            interrupted_imports=await asyncio.to_thread(self._watch.interrupted_imports),
            books=await asyncio.to_thread(self._watch.books),
            sinks=await self._sinks(),
            processes=await asyncio.to_thread(self._stack.processes),
            surprises=self._crowd.surprises(),
        )


def _people(text: str) -> int:
    """Read a number of people; with fewer, none does what some of the sums are about."""
    if not text.isdecimal() or int(text) < _FEWEST_PEOPLE:
        raise argparse.ArgumentTypeError(f"must be a number of people, at least {_FEWEST_PEOPLE}")
    return int(text)


async def _play(stack: Stack, console: Console, people: int | None) -> Outcome:
    return await Play(stack, console, people=people).run()


def main() -> int:
    """Start the stack and play; return 0 only when every sum holds. The stack keeps running."""
    parser = argparse.ArgumentParser(description="play the main job on real input")
    parser.add_argument("--with", dest="how", choices=[kind.value for kind in With], default=With.AUTO.value)
    parser.add_argument("--people", type=_people, help="play the first of people.csv alone, at least 60")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else _LOG_WIDTH)
    stack = choose(console, options.how)
    began = time.monotonic()
    failed: list[BaseException] = []
    try:
        start(stack)
        began = time.monotonic()
        outcome = asyncio.run(_play(stack, console, options.people))
    except* StackError as group:
        failed.extend(group.exceptions)
    if failed:
        for error in failed:
            console.print(f"[red]✗[/] {escape(str(error))}", highlight=False)
        return 1
    outcome.print(console)
    print_addresses(stack, console)
    complaints = len(outcome.complaints())
    seconds = time.monotonic() - began
    console.print(
        f"\n[red]✗ {complaints} sums do not hold[/], see above" if complaints
        else f"\n[green]✓ every sum holds[/], after {seconds:.0f} s; the stack runs until `make down`"
    )  # fmt: skip
    return 1 if complaints else 0


if __name__ == "__main__":
    run(main)
