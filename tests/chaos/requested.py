"""What the clients of a round ask for, drawn from its seed, and what was answered: the record of accepted requests."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from tests.support.deeds import Deed, DoomedDeed, LimitedDeed

#: The number of each sort in a hundred jobs.
_MIX = {"plain": 36, "nothing": 18, "retry": 15, "chain": 8, "delay": 8, "limited": 6, "permanent": 5, "doomed": 4}


class Answer(Enum):
    """What the client knows about its request."""

    NONE = auto()  #: It was sent and nothing came back: it may be there or not.
    ACCEPTED = auto()
    REFUSED = auto()  #: It was never asked to be committed, so nothing of it may be there.


@dataclass(frozen=True)
class Order:
    """A job as it is enqueued."""

    job: Deed | DoomedDeed
    delay_seconds: float = 0


@dataclass
class Request:
    """One transaction of a client: its jobs, a row of its own and an event, all of it or nothing."""

    number: int
    orders: tuple[Order, ...]
    #: When there is one, the jobs are a batch, and this is what runs when it has ended.
    end: Deed | None = None
    answer: Answer = Answer.NONE
    event_id: UUID | None = None

    def jobs(self) -> list[Deed | DoomedDeed]:
        """Return all that is to be enqueued."""
        return [*(order.job for order in self.orders), *([self.end] if self.end else [])]


@dataclass
class SignUp:
    """One request to the API, repeated under its key for as long as it has no answer."""

    email: str
    answer: Answer = Answer.NONE
    job_id: UUID | None = None


@dataclass
class Due:
    """The end that a token's job is due to reach, when it is there at all."""

    succeeds: bool
    leaves_effect: bool
    #: Only then its absence is a loss.
    is_accepted: bool = False


def draw_requests(seed: int, count: int, *, first: int = 0) -> list[Request]:
    """Draw `count` requests, numbered from `first`; the same seed gives the same ones."""
    dice = random.Random(f"requests/{seed}/{first}")
    requests = []
    for number in range(first, first + count):
        orders = [_draw(dice, f"{number}.{part}") for part in range(dice.choice((1, 1, 1, 2, 3)))]
        if dice.random() < 0.25:  # Perhaps with others of its neighbours: one piece of work, asked for twice.
            orders.append(Order(_shared(number // 4)))
            requests.append(Request(number, tuple(orders)))
        else:
            end = Deed(token=f"{number}.end") if dice.random() < 0.15 else None
            requests.append(Request(number, tuple(orders), end))
    return requests


def due(requests: Iterable[Request]) -> dict[str, Due]:
    """Return what each token's job is due to become, the links of chains too; nothing of what was refused."""
    found: dict[str, Due] = {}
    for request in requests:
        if request.answer is Answer.REFUSED:
            continue
        for job in request.jobs():
            for token, end in _ends(job):
                end.is_accepted = request.answer is Answer.ACCEPTED or (token in found and found[token].is_accepted)
                found[token] = end
    return found


def accepted(requests: Sequence[Request]) -> int:
    """Count the jobs whose acceptance was answered, each token once; a chain's links come by themselves."""
    tokens = {job.token for request in requests if request.answer is Answer.ACCEPTED for job in request.jobs()}
    return len(tokens)


def _draw(dice: random.Random, token: str) -> Order:
    rank = dice.choice((0, 1, 3, 5, 5, 5, 8, 10))
    seconds = dice.choice((0, 0, 0.01, 0.02, 0.3))
    plain = Deed(token=token, rank=rank, seconds=seconds)
    delay_seconds = 0.0
    match dice.choices(
        ("plain", "nothing", "retry", "chain", "delay", "permanent", "doomed"), (40, 18, 15, 9, 9, 5, 4)
    ):
        case ["nothing"]:
            changes: dict[str, object] = {"writes": False}
        case ["retry"]:
            changes = {"failures": dice.choice((1, 1, 2, 4)), "writes": dice.random() < 0.8}
        case ["chain"]:
            changes = {"links": dice.choice((1, 2, 3))}
        case ["permanent"]:
            changes = {"permanent": True}
        case ["doomed"]:
            return Order(DoomedDeed(token=token))
        case ["limited"]:
            return Order(LimitedDeed(token=token, seconds=seconds))
        case [kind]:
            changes, delay_seconds = {}, dice.uniform(0.2, 8) if kind == "delay" else 0.0
    return Order(plain.model_copy(update=changes), delay_seconds)


def _shared(number: int) -> Deed:
    return Deed(token=f"shared {number}", key=f"shared {number}", seconds=0.02)


def _ends(job: Deed | DoomedDeed) -> Iterator[tuple[str, Due]]:
    following: Deed | DoomedDeed | None = job
    while following is not None:
        if isinstance(following, DoomedDeed) or following.permanent:
            yield following.token, Due(succeeds=False, leaves_effect=False)
            return
        yield following.token, Due(succeeds=True, leaves_effect=following.writes)
        following = following.next_link()
