"""Status service: asks all servers side by side, and never waits long for one that does not answer."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Protocol

from moneyflow.platform.database import Database
from moneyflow.platform.settings import KafkaSettings, PostgresSettings, RabbitmqSettings, RedisSettings
from moneyflow.platform.status.brokers import ping_redis, read_consumers, read_queues
from moneyflow.platform.status.conditions import judge
from moneyflow.platform.status.jobs import read_jobs
from moneyflow.platform.status.snapshot import Jobs, Server, Snapshot

#: Seconds that a server has to answer; a frozen one accepts connections and says nothing.
_SECONDS = 5.0
#: Characters of a problem: two lines of a terminal.
_PROBLEM_LENGTH = 160


class Settings(Protocol):
    """Addresses and logins of all four servers."""

    def only(self, section: type[Any]) -> Any: ...


class _Rabbitmq(RabbitmqSettings):
    rabbitmq_logins: ClassVar[tuple[str, ...]] = ("operator",)


class _Kafka(KafkaSettings):
    kafka_logins: ClassVar[tuple[str, ...]] = ("operator",)


class StatusService:
    """Takes snapshots. `database` is Postgres as the operator; `seconds` is the time that each server has."""

    def __init__(self, settings: Settings, database: Database, *, seconds: float = _SECONDS) -> None:
        self._postgres: PostgresSettings = settings.only(PostgresSettings)
        self._rabbitmq: RabbitmqSettings = settings.only(_Rabbitmq.with_logins())
        self._kafka: KafkaSettings = settings.only(_Kafka.with_logins())
        self._redis: RedisSettings = settings.only(RedisSettings)
        self._database = database
        self._seconds = seconds

    def snapshot(self) -> Snapshot:
        """Ask every server, and return what they know with the conditions that follow; raises nothing."""
        answers = ask_all(
            {
                "postgres": self._read_jobs,
                "rabbitmq": partial(read_queues, self._rabbitmq, seconds=self._seconds),
                "kafka": partial(read_consumers, self._kafka, seconds=self._seconds),
                "redis": partial(ping_redis, self._redis, seconds=self._seconds),
            },
            seconds=self._seconds + 1,  # Each gives up by itself before that, with the better text.
        )
        snapshot = Snapshot(
            servers=tuple(
                Server(name=name, where=where, problem=_problem(answers[name]))
                for name, where in self._addresses().items()
            ),
            jobs=_value(answers["postgres"]),
            queues=_value(answers["rabbitmq"]),
            consumers=_value(answers["kafka"]),
        )
        return replace(snapshot, conditions=judge(snapshot))

    def _read_jobs(self) -> Jobs:
        with self._database.transaction() as session:
            return read_jobs(session)

    def _addresses(self) -> dict[str, str]:
        return {
            "postgres": self._postgres.postgres_address,
            "rabbitmq": self._rabbitmq.rabbitmq_address,
            "kafka": self._kafka.kafka_bootstrap,
            "redis": self._redis.redis_address,
        }


def ask_all(questions: Mapping[str, Callable[[], Any]], *, seconds: float) -> dict[str, Any]:
    """Ask side by side; return each answer, or the error that it raised, a TimeoutError after `seconds`.

    In daemon threads: a question that is never answered does not keep the process.
    """
    answers: dict[str, Any] = {}

    def ask(name: str, question: Callable[[], Any]) -> None:
        try:
            answers[name] = question()
        except Exception as error:  # noqa: BLE001 - whatever it is, this server is not as it should be
            answers[name] = error

    threads = [
        threading.Thread(target=ask, args=one, name=f"status {one[0]}", daemon=True) for one in questions.items()
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = TimeoutError(f"no answer within {seconds:.0f} seconds")
    return {name: answers.get(name, late) for name in questions}


def _problem(answer: Any) -> str | None:
    """Return the text of the error that a question raised; a client wraps the cause, which says more than itself."""
    if not isinstance(answer, Exception):
        return None
    cause: BaseException = answer
    while isinstance(inner := next(iter(cause.args), getattr(cause, "exception", None)), BaseException):
        cause = inner
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if len(text) <= _PROBLEM_LENGTH else text[:_PROBLEM_LENGTH] + "…"


def _value(answer: Any) -> Any:
    return None if isinstance(answer, Exception) else answer
