"""The brake of acts on many: a reason, a question above twenty items, or a canary that goes first."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.jobs import batches
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect
from tests.support.failures import fail_jobs, moneyflow

_ROOT = Path(__file__).parents[2]
_WHY = ("--reason", "the mail server is back")


def _operations(environment: dict[str, str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = moneyflow(environment, "failed", "operations", "--json").json["operations"]
    return found


def _on_a_terminal(environment: dict[str, str], *words: str, answer: str) -> "subprocess.CompletedProcess[str]":
    """Run a command whose input and errors are a terminal, and answer its question once it is asked."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.cli", *words],
        env=os.environ | environment | {"PYTHONPATH": str(_ROOT)}, cwd=_ROOT, text=True,
        stdin=theirs, stderr=theirs, stdout=subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    asked = b""
    while b"[y/N]" not in asked:
        asked += os.read(ours, 1000)
    os.write(ours, answer.encode())
    output, _ = process.communicate(timeout=60)
    os.close(ours)
    return subprocess.CompletedProcess(words, process.returncode, output, asked.decode())


def test_a_replay_of_many_without_a_terminal_sends_a_canary_first_and_stops_when_it_fails(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 350)

    answer = moneyflow(environment, "failed", "replay", "--kind", "leave_effect", *_WHY, "--canary-timeout", "0.5")

    (operation,) = _operations(environment)
    assert (answer.code, operation["state"], operation["canary"]) == (1, "stopped", 5)
    assert jobs.states(database, ids) == {"scheduled": 5, "failed": 345}
    assert "350 items: a canary of 5 goes first; --yes acts on all of them at once" in answer.notes
    first_line = answer.text.splitlines()[0]
    assert first_line == "The canary has not succeeded, so 345 items were left as they are."


def test_twenty_are_replayed_without_a_question_and_any_number_with_yes(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    few = fail_jobs(database, 20)
    moneyflow(environment, "failed", "replay", "--all", *_WHY)
    many = fail_jobs(database, 21)

    answer = moneyflow(environment, "failed", "replay", "--all", "--yes", *_WHY)

    assert answer.code == 0
    assert jobs.states(database, [*few, *many]) == {"scheduled": 41}
    assert [operation["canary"] for operation in _operations(environment)] == [None, None]


@pytest.mark.parametrize(("verb", "state"), [("discard", "failed"), ("restore", "discarded")])
def test_what_no_canary_can_prove_is_refused_in_scripts_above_twenty_and_nothing_is_kept(
    environment: dict[str, str], queues: AllSettings, database: Database, verb: str, state: str
) -> None:
    ids = fail_jobs(database, 21)
    with database.transaction() as session:
        session.execute("update jobs set state = %(state)s", {"state": state})

    with pytest.raises(InvalidInputError, match=f"{verb} would act on 21 items: add --yes"):
        moneyflow(environment, "failed", verb, "--all", *_WHY)

    assert jobs.states(database, ids) == {state: 21}
    assert _operations(environment) == []


def test_on_a_terminal_the_operator_is_asked_and_no_changes_nothing(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 30)

    refused = _on_a_terminal(environment, "failed", "replay", "--all", *_WHY, answer="n\n")
    before = jobs.states(database, ids), _operations(environment)
    confirmed = _on_a_terminal(environment, "failed", "discard", "--all", *_WHY, answer="y\n")

    assert (refused.returncode, before) == (1, ({"failed": 30}, []))
    assert "replay 30 items? [y/N]" in refused.stderr
    assert (confirmed.returncode, jobs.states(database, ids)) == (0, {"discarded": 30})


def test_when_jobs_fail_while_the_operator_is_asked_the_question_comes_again(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 30)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ops.cli", "failed", "replay", "--all", *_WHY]
    environment = os.environ | environment | {"PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen(command, env=environment, cwd=_ROOT, stdin=theirs, stderr=theirs, stdout=theirs)
    os.close(theirs)
    asked = bytearray()

    def until(question: bytes) -> None:
        while question not in asked:
            asked.extend(os.read(ours, 1000))

    until(b"replay 30 items? [y/N]")
    ids += fail_jobs(database, 5)
    os.write(ours, b"y\n")
    until(b"replay 35 items? [y/N]")
    unchanged = jobs.states(database, ids)
    os.write(ours, b"n\n")

    assert process.wait(60) == 1
    assert unchanged == jobs.states(database, ids) == {"failed": 35}
    os.close(ours)


def _batch(database: Database, size: int) -> UUID:
    with database.transaction() as session:
        return batches.submit(session, [LeaveEffect() for _ in range(size)], name="mails")


def test_a_batch_of_many_is_cancelled_in_scripts_with_yes_only(environment: dict[str, str], database: Database) -> None:
    large, small = _batch(database, 21), _batch(database, 20)

    with pytest.raises(InvalidInputError, match="would cancel 21 jobs: add --yes"):
        moneyflow(environment, "batches", "cancel", large, *_WHY)
    kept = moneyflow(environment, "batches", "show", large, "--json").json["state"]
    cancelled = [
        moneyflow(environment, "batches", "cancel", large, *_WHY, "--yes"),
        moneyflow(environment, "batches", "cancel", small, *_WHY),
    ]

    assert kept == "open"
    assert [answer.code for answer in cancelled] == [0, 0]
