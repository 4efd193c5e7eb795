"""What came of a round, seen from outside of the product: lost, doubled, invented, stuck, or not adding up."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from tests.chaos.requested import Answer, Due, Request, SignUp, due

_ENDED = ("succeeded", "failed", "cancelled", "discarded")


@dataclass
class Verdict:
    """Each list names what is wrong; all of them are empty when the promise held."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    crooked: list[str] = field(default_factory=list)

    def wrong(self) -> dict[str, list[str]]:
        """Return what is wrong, by kind; the first few of each."""
        return {name: found[:10] for name, found in vars(self).items() if found}


@dataclass
class Found:
    """All that is in the database at the end of the round, and on `jobs_failed`."""

    jobs: dict[UUID, DictRow]
    attempts: dict[UUID, list[DictRow]]
    effects: Counter[UUID]
    requests: Counter[int]
    users: Counter[str]
    #: None where a fault moves dead letters and deletes messages: then it is not known where they must be.
    dead_letters: set[str] | None

    @classmethod
    def read(cls, connection: Connection[DictRow], dead_letters: set[str] | None) -> "Found":
        """Read everything."""

        def rows(query: str) -> list[DictRow]:
            return connection.execute(query).fetchall()

        attempts = defaultdict(list)
        for row in rows("select * from job_attempts order by fence"):
            attempts[row["job_id"]].append(row)
        return cls(
            jobs={row["id"]: row for row in rows("select * from jobs")},
            attempts=attempts,
            effects=Counter(row["job_id"] for row in rows("select job_id from effects")),
            requests=Counter(row["number"] for row in rows("select number from requests")),
            users=Counter(row["email"] for row in rows("select email from users")),
            dead_letters=dead_letters,
        )


def judge(found: Found, requests: Sequence[Request], sign_ups: Sequence[SignUp] = ()) -> Verdict:
    """Compare what was accepted with what is there."""
    verdict = Verdict()
    by_token: defaultdict[str, list[DictRow]] = defaultdict(list)
    for row in found.jobs.values():
        if "token" in row["payload"]:
            by_token[row["payload"]["token"]].append(row)
    by_token.default_factory = None  # From here on what is not there is missing.
    dues = due(requests)
    for token, end in dues.items():
        _judge_token(verdict, token, end, by_token.get(token, []), found)
    verdict.invented += [f"{token}: no client asked for it" for token in by_token if token not in dues]
    verdict.invented += [f"an effect of {job}, which is not there" for job in found.effects if job not in found.jobs]
    for request in requests:
        _judge_request(verdict, request, found, by_token.keys())
        _judge_batch(verdict, request, by_token)
    for sign_up in sign_ups:
        _judge_sign_up(verdict, sign_up, found)
    for row in found.jobs.values():
        _judge_history(verdict, row, found)
    return verdict


def _judge_token(verdict: Verdict, token: str, end: Due, jobs: list[DictRow], found: Found) -> None:
    if not jobs:
        if end.is_accepted:
            verdict.lost.append(f"{token}: it was accepted, and there is no job")
        return
    if len(jobs) > 1:
        verdict.doubled.append(f"{token}: {len(jobs)} jobs")
    ended = "succeeded" if end.succeeds else "failed"
    for job in jobs:
        if job["state"] != ended:
            verdict.lost.append(f"{token}: {job['state']}, and not {ended}")
        if job["state"] == "succeeded" and job["result"] != {"token": token}:
            verdict.crooked.append(f"{token}: its result is {job['result']}")
    effects, expected = sum(found.effects[job["id"]] for job in jobs), int(end.leaves_effect)
    if effects < expected:
        verdict.lost.append(f"{token}: no effect")
    if effects > expected:
        (verdict.doubled if expected else verdict.invented).append(f"{token}: {effects} effects")


def _judge_request(verdict: Verdict, request: Request, found: Found, all_tokens: Collection[str]) -> None:
    there = found.requests[request.number]
    tokens = {job.token for job in request.jobs() if not job.token.startswith("shared")}
    jobs = tokens.intersection(all_tokens)
    if there > 1:
        verdict.doubled.append(f"request {request.number}: its row is there {there} times")
    if request.answer is Answer.ACCEPTED and not there:
        verdict.lost.append(f"request {request.number}: its row is not there")
    if request.answer is Answer.REFUSED and there:
        verdict.invented.append(f"request {request.number}: it was never committed")
    if jobs != (tokens if there else set()):
        verdict.crooked.append(f"request {request.number}: torn, of {tokens} there are {jobs}")


def _judge_batch(verdict: Verdict, request: Request, by_token: dict[str, list[DictRow]]) -> None:
    """A batch's end runs when its members have ended."""
    if request.end and request.end.token in by_token:
        members = [
            row for order in request.orders for row in by_token.get(order.job.token, []) if row["state"] == "succeeded"
        ]
        began = by_token[request.end.token][0]["started_at"]
        early = began and any(row["finished_at"] > began for row in members)
        verdict.crooked += [f"{request.end.token}: it began before the batch had ended"] if early else []


def _judge_sign_up(verdict: Verdict, sign_up: SignUp, found: Found) -> None:
    users = found.users[sign_up.email]
    if users > 1:
        verdict.doubled.append(f"{sign_up.email}: {users} accounts")
    if sign_up.answer is Answer.ACCEPTED:
        job: Any = found.jobs.get(sign_up.job_id) if sign_up.job_id else None
        if not users or job is None or job["state"] != "succeeded":
            verdict.lost.append(f"{sign_up.email}: {users} accounts, its mail is {job and job['state']}")


def _judge_history(verdict: Verdict, job: DictRow, found: Found) -> None:
    """Look at what must hold for each job, whichever client asked for it."""
    name = f"{job['kind']} {job['payload'].get('token', job['id'])}"
    if job["state"] not in _ENDED:
        verdict.stuck.append(f"{name}: {job['state']}")
        return
    if "token" not in job["payload"] and found.effects[job["id"]] > 1:
        verdict.doubled.append(f"{name}: {found.effects[job['id']]} effects")
    attempts, is_replayed = _last_run(found.attempts.get(job["id"], []))
    counted = [row["attempt"] for row in attempts if row["attempt"] > 0]
    outcomes = Counter(row["outcome"] for row in attempts)
    if counted != list(range(1, job["attempt"] + 1)):
        verdict.crooked.append(f"{name}: attempt {job['attempt']}, and its history counts {counted}")
    if (outcomes["succeeded"], outcomes["failed"]) != (job["state"] == "succeeded", job["state"] == "failed"):
        verdict.crooked.append(f"{name}: {job['state']}, and its history says {dict(outcomes)}")
    if not attempts or attempts[-1]["outcome"] != job["state"]:
        verdict.crooked.append(f"{name}: {job['state']}, and its last attempt says {attempts[-1:]}")
    if found.dead_letters is not None and not is_replayed:
        has_dead_letter = str(job["id"]) in found.dead_letters
        if has_dead_letter != (job["state"] == "failed"):
            verdict.crooked.append(f"{name}: {job['state']}, and on jobs_failed: {has_dead_letter}")


def _last_run(attempts: list[DictRow]) -> tuple[list[DictRow], bool]:
    """Return the attempts since the job was last replayed, and whether it was."""
    begun = max((number + 1 for number, row in enumerate(attempts[:-1]) if row["outcome"] == "failed"), default=0)
    return attempts[begun:], begun > 0
