"""What an error means for a job, and how it is recorded: without secrets, cut, and storable."""

import random
from datetime import timedelta
from uuid import UUID

import pytest
from psycopg import OperationalError

from moneyflow.platform.errors import (
    ConflictError,
    InvalidInputError,
    JobCancelledError,
    NotFoundError,
    PermanentError,
    PoisonError,
    UnavailableError,
    UnknownVersionError,
)
from moneyflow.platform.jobs.limits import Rate
from moneyflow.platform.jobs.policy import Breaker, RetryPolicy, Unique
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import End, Outcome
from moneyflow.platform.telemetry.error_groups import error_group
from moneyflow.settings import load_all
from workers.execution.redaction import Redactor
from workers.outcome import SHORTEST_SNOOZE_SECONDS, Cancel, EndedByHandlerError, Ending, Fail, RetryIn, Snooze, decide

_PASSWORD = "correct-horse-battery"
_POLICY = RetryPolicy(attempts=3, base_seconds=1, cap_seconds=10)


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(
        load_all({"SECRET_KEY": "k" * 40, "POSTGRES_PASSWORD": _PASSWORD, "REDIS_PASSWORD": f"{_PASSWORD}-2"})
    )


def _claim(attempt: int, *, is_probe: bool = False) -> Claim:
    return Claim(
        id=UUID(int=1), kind="x", version=1, priority=5, payload={}, attempt=attempt, max_attempts=3, fence=1,
        correlation_id=None, traceparent=None, wait_seconds=0, time_limit_seconds=60,
        is_probe=is_probe,
    )  # fmt: skip


def _raised(error: Exception, cause: Exception | None = None) -> Exception:
    """Return the error as it is when it was raised, with a traceback."""
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


@pytest.mark.parametrize("error", [PermanentError("x"), InvalidInputError("x"), NotFoundError("x"), PoisonError("x")])
def test_an_error_that_no_attempt_can_cure_fails_at_the_first_and_trips_no_breaker(error: Exception) -> None:
    assert decide(error, _claim(1), _POLICY) == End(outcome=Outcome.FAILED)


@pytest.mark.parametrize("error", [UnavailableError("x"), ConflictError("x"), ValueError("a bug"), KeyError("x")])
def test_any_other_error_is_retried_a_bug_too(error: Exception) -> None:
    end = decide(error, _claim(2), _POLICY)

    assert (end.outcome, end.counts) == (Outcome.RETRIED, True)
    assert 0 <= end.wait_seconds <= 2


def test_outages_alone_count_for_the_breaker_and_what_it_names_as_outages() -> None:
    named = Breaker(outages=(ConflictError,))
    for error, breaker, counts in (
        (UnavailableError("x"), Breaker(), True),
        (UnavailableError("x"), None, False),
        (ConflictError("x"), Breaker(), False),
        (ConflictError("x"), named, True),
        (UnavailableError("x"), named, True),
        (ValueError("a bug"), named, False),
        (PermanentError("x"), Breaker(outages=(PermanentError,)), False),
    ):
        assert decide(error, _claim(1), _POLICY, breaker).counts_for_breaker is counts, (error, breaker)


def test_what_no_code_expects_is_a_bug() -> None:
    policy = RetryPolicy(attempts=3, permanent=(KeyError,), uncounted=(TimeoutError,))
    down = OperationalError("the connection is lost")
    for error, is_bug in (
        (ValueError("a bug"), True),
        (UnavailableError("x"), False),
        (ConflictError("x"), False),
        (KeyError("x"), False),
        (TimeoutError("x"), False),
        (down, False),
        (EndedByHandlerError(Fail("x")), False),
    ):
        assert decide(error, _claim(1), policy).is_bug is is_bug, error
    assert not decide(ValueError("x"), _claim(1), policy, Breaker(outages=(ValueError,))).is_bug


def test_an_error_that_the_policy_calls_permanent_is_no_outage() -> None:
    policy = RetryPolicy(attempts=3, permanent=(UnavailableError,))

    assert decide(UnavailableError("x"), _claim(1), policy) == End(outcome=Outcome.FAILED)


@pytest.mark.parametrize(
    ("ending", "end"),
    [
        (RetryIn(3), End(outcome=Outcome.RETRIED, wait_seconds=3)),
        (Snooze(3), End(outcome=Outcome.SNOOZED, wait_seconds=3)),
        (Cancel("x"), End(outcome=Outcome.CANCELLED)),
        (Fail("x"), End(outcome=Outcome.FAILED)),
    ],
)
def test_an_ending_that_a_handler_returns_is_what_follows(ending: Ending, end: End) -> None:
    assert decide(EndedByHandlerError(ending), _claim(1), _POLICY) == end


@pytest.mark.parametrize("seconds", [0, 0.01, timedelta(0), timedelta(milliseconds=999)])
def test_an_attempt_that_does_not_count_is_followed_by_a_wait_of_a_second_at_least(seconds: float | timedelta) -> None:
    eager = RetryPolicy(base_seconds=0.001, cap_seconds=0.001, uncounted=(UnavailableError,))

    assert decide(EndedByHandlerError(Snooze(seconds)), _claim(1), _POLICY).wait_seconds == SHORTEST_SNOOZE_SECONDS == 1
    assert decide(UnavailableError("x"), _claim(1), eager).wait_seconds == SHORTEST_SNOOZE_SECONDS


def test_another_attempt_that_a_handler_asks_for_is_one_of_those_it_has() -> None:
    assert decide(EndedByHandlerError(RetryIn(3)), _claim(3), _POLICY).outcome is Outcome.FAILED
    assert decide(EndedByHandlerError(Snooze(3)), _claim(3), _POLICY).outcome is Outcome.SNOOZED


def test_a_cancelled_job_ends_and_an_unreadable_one_waits_for_others_and_neither_trips_a_breaker() -> None:
    parked = decide(UnknownVersionError("x"), _claim(3), _POLICY)

    assert decide(JobCancelledError("x"), _claim(1), _POLICY) == End(outcome=Outcome.CANCELLED)
    assert (parked.outcome, parked.counts, parked.counts_for_breaker) == (Outcome.PARKED, False, False)
    assert parked.wait_seconds > 0


def test_a_contract_names_errors_that_are_permanent_and_errors_that_do_not_count() -> None:
    policy = RetryPolicy(attempts=3, base_seconds=1, permanent=(ConflictError,), uncounted=(UnavailableError,))
    uncounted = decide(UnavailableError("x"), _claim(3), policy)

    assert decide(ConflictError("x"), _claim(1), policy).outcome is Outcome.FAILED
    assert (uncounted.outcome, uncounted.counts) == (Outcome.SNOOZED, False)


def test_a_probe_that_meets_the_outage_burns_no_attempt_and_one_that_fails_by_itself_takes_its_course() -> None:
    assert decide(UnavailableError("x"), _claim(3, is_probe=True), _POLICY).outcome is Outcome.SNOOZED
    assert decide(PermanentError("x"), _claim(1, is_probe=True), _POLICY).outcome is Outcome.FAILED
    assert decide(ValueError("x"), _claim(1, is_probe=True), _POLICY).outcome is Outcome.RETRIED
    assert decide(ValueError("x"), _claim(3, is_probe=True), _POLICY).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 17 of 2026-11-24T10:00:00", "order 4 of 2025-01-01T23:59:59"),
        ("no user 01a20fee-c43c-7695-93a0-39997b76206f", "no user 01a20fee-c446-7512-a14c-79021aa6e3ca"),
        ("'12.5' is not a number", "'1e9' is not a number"),
        ('no file "statement of May.csv"', 'no file "June, second try.csv"'),
        ("can't read 'row 5' of 'x1'", "can't read 'row 9' of 'x2'"),
        ("at 0xdeadbeef", "at 0x1234"),
    ],
)
def test_failures_of_one_cause_are_one_group(one: str, other: str) -> None:
    assert error_group(one) == error_group(other)
    assert error_group(one) != error_group("something else")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("KeyError: 'email'", "KeyError: 'email'"),
        ("field \"amount\" of 'row 7' isn't 'a number'", 'field "amount" of … isn\'t …'),
        ("'user_id' 'a b' 'name'", "'user_id' … 'name'"),
    ],
)
def test_a_short_quoted_word_such_as_a_field_stays_in_the_group(message: str, shown: str) -> None:
    assert error_group(message) == shown
    assert error_group(message.replace("e", "o")) != error_group(message)


def test_the_last_attempt_is_the_last() -> None:
    assert decide(UnavailableError("x"), _claim(3), _POLICY).outcome is Outcome.FAILED
    assert decide(UnavailableError("x"), _claim(4), _POLICY).outcome is Outcome.FAILED


def test_our_own_secrets_are_in_neither_message_nor_traceback(redactor: Redactor) -> None:
    failure = redactor.failure(
        _raised(OSError(f"no login with {_PASSWORD}-2, none with {_PASSWORD}, none with {'k' * 40}"))
    )

    assert failure.message == "no login with ***, none with ***, none with ***"
    assert failure.traceback is not None
    assert _PASSWORD not in failure.traceback
    assert failure.error_class == "OSError"


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter22",
        "PASSWORD: hunter22",
        "{'password': 'hunter22'}",
        '{"api_key": "hunter22"}',
        "Authorization: Bearer hunter22",
        "authorization: Basic hunter22",
        "token=hunter22&next=1",
        "https://x.example/activate#token=hunter22",
        "client_secret='hunter22'",
        "postgresql://app:hunter22@db.example/money",
        "amqp://app:hunter22@127.0.0.1:5672/money_flow",
    ],
)
def test_what_looks_like_a_secret_of_another_service_is_redacted(redactor: Redactor, text: str) -> None:
    failure = redactor.failure(_raised(ValueError(text)))

    assert "hunter22" not in failure.message
    assert "hunter22" not in (failure.traceback or "")


def test_the_cause_is_kept_and_redacted_too(redactor: Redactor) -> None:
    failure = redactor.failure(_raised(UnavailableError("outside"), OSError("password=hunter22 in the cause")))

    assert "in the cause" in (failure.traceback or "")
    assert "hunter22" not in (failure.traceback or "")


def test_a_long_traceback_keeps_its_end_within_eight_kibibytes(redactor: Redactor) -> None:
    error: Exception = ValueError("€" * 10_000)
    for number in range(20):
        error = _raised(ValueError(f"{'€' * 1_000}, cause {number}"), error)

    failure = redactor.failure(error)

    assert failure.traceback is not None
    assert len(failure.traceback.encode()) <= 8 * 1024
    assert failure.traceback.rstrip().endswith("€, cause 19")


def test_a_long_message_is_cut(redactor: Redactor) -> None:
    assert len(redactor.failure(ValueError("x" * 10_000)).message) == 2048


def test_a_secret_at_the_cut_is_not_half_shown(redactor: Redactor) -> None:
    failure = redactor.failure(ValueError("x" * 2040 + _PASSWORD))

    assert failure.message == "x" * 2040 + "***"


@pytest.mark.parametrize(
    "text",
    [
        _PASSWORD,
        "k" * 40,
        "ada.lovelace.the.first@mail.example",
        "password=s3cr3t-s3cr3t-s3cr3t",
        "Authorization: Bearer " + "s3cr3t" * 500,
        "amqp://app:s3cr3ts3cr3t@broker:5672/x",
        "amqp://app:" + "s3cr3t" * 500 + "@broker:5672/x",
    ],
    ids=["password", "key", "address", "named value", "long token", "URL", "long URL"],
)
def test_no_part_of_a_secret_is_shown_wherever_the_text_is_cut(redactor: Redactor, text: str) -> None:
    for before in (*range(2048 - min(len(text), 60), 2050), 10_000):
        failure = redactor.failure(_raised(ValueError("." * before + " " + text + " end")))

        for stored in (failure.message, failure.traceback or ""):
            shown = stored.rpartition("..")[2]
            assert not {"corr", "orse", "kkkk", "love", "s3cr"} & {shown[n : n + 4] for n in range(len(shown))}


def test_a_secret_that_a_note_a_cause_or_a_group_has_is_redacted(redactor: Redactor) -> None:
    error = ExceptionGroup("both", [ValueError("token=s3cr3t"), OSError("password=s3cr3t")])
    error.add_note("secret: s3cr3t")

    failure = redactor.failure(_raised(error, KeyError("api_key=s3cr3t")))

    assert "s3cr3t" not in (failure.traceback or "")
    assert (failure.traceback or "").count("***") == 4


def test_the_lines_of_a_key_are_secrets_too() -> None:
    key = "-----BEGIN-----\nMIIBfirst\nMIIBsecond\n"

    failure = Redactor(load_all({"SECRET_KEY": "k" * 40, "POSTGRES_PASSWORD": key})).failure(
        _raised(ValueError("at line 3: MIIBsecond"))
    )

    assert failure.message == "at line 3: ***"


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"], ids=["NUL", "a lone surrogate"])
def test_what_postgres_and_amqp_cannot_store_is_replaced(redactor: Redactor, text: str) -> None:
    failure = redactor.failure(_raised(ValueError(text)))

    for stored in (failure.message, failure.traceback or ""):
        assert "\x00" not in stored
        assert stored.encode()


def test_an_error_whose_text_fails_is_recorded_all_the_same(redactor: Redactor) -> None:
    class Mute(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert redactor.failure(_raised(Mute())).error_class == "Mute"


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0, 0.0, 1e12])
def test_a_policy_with_a_wait_that_cannot_be_is_refused_where_it_is_declared(wrong: float) -> None:
    with pytest.raises(ValueError, match="attempts >= 1"):
        RetryPolicy(base_seconds=wrong, cap_seconds=wrong)
    with pytest.raises(ValueError, match="errors >= 1"):
        Breaker(probe_seconds=wrong, longest_probe_seconds=wrong)
    with pytest.raises(ValueError, match="for_seconds must be above 0"):
        Unique(for_seconds=wrong)
    with pytest.raises(ValueError, match="limit >= 1"):
        Rate(limit=1, per_seconds=wrong)


def test_a_handler_that_seeds_the_shared_generator_gives_no_two_jobs_the_same_wait() -> None:
    policy = RetryPolicy(base_seconds=1000)
    waits = set()
    for _ in range(3):
        random.seed(7)
        waits.add(policy.wait_seconds(3))

    assert len(waits) == 3
