"""A job's contract: what is wrong with it fails where it is declared; a payload that does not fit fails no job."""

from statistics import mean
from uuid import UUID, uuid4

import pytest
from pydantic import field_validator

from moneyflow.jobs import Job, registry
from moneyflow.jobs.send_email import SendEmail
from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.platform.errors import InvalidInputError, UnknownVersionError, UnreadableError
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.payloads import Upgrade

pytestmark = pytest.mark.usefixtures("contracts")


def test_a_job_is_known_by_its_kind_with_the_options_it_was_declared_with() -> None:
    policy = RetryPolicy(attempts=2)

    steps: dict[int, Upgrade] = {1: dict, 2: dict}

    class Greet(Job, kind="greet", version=3, upgrades=steps, priority=7, retry=policy, time_limit_seconds=9):
        name: str

    assert registry["greet"] is Greet
    assert (Greet.kind, Greet.version, Greet.priority, Greet.retry, Greet.time_limit_seconds) == (
        "greet", 3, 7, policy, 9,
    )  # fmt: skip


def test_an_unknown_option_fails_at_the_declaration() -> None:
    with pytest.raises(TypeError, match="Greet: unknown option prioritty"):

        class Greet(Job, kind="greet", prioritty=7):
            pass


@pytest.mark.parametrize("options", [{"priority": -1}, {"priority": 11}, {"time_limit_seconds": 0}], ids=str)
def test_a_number_out_of_range_fails_at_the_declaration(options: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=next(iter(options))):
        type("Greet", (Job,), {"__module__": __name__}, kind="greet", **options)


@pytest.mark.parametrize(
    ("version", "upgrades"),
    [(0, {}), (2, {}), (3, {2: dict}), (3, {1: dict}), (2, {1: dict, 2: dict}), (1, {0: dict})],
    ids=repr,
)
def test_a_version_without_an_upgrade_from_each_earlier_one_fails_at_the_declaration(
    version: int, upgrades: dict[int, Upgrade]
) -> None:
    with pytest.raises(
        TypeError, match="Greet: version is at least 1, and `upgrades` has a function from each earlier"
    ):
        type("Greet", (Job,), {"__module__": __name__}, kind="greet", version=version, upgrades=upgrades)

    assert "greet" not in registry


@pytest.mark.parametrize("kind", ["", "a", "Greet", "greet-them", "1greet", "greet.all", "g" * 64])
def test_a_kind_that_is_no_name_fails_at_the_declaration(kind: str) -> None:
    with pytest.raises(TypeError, match="is taken or not of the form"):
        type("Greet", (Job,), {"__module__": __name__}, kind=kind)


def test_a_kind_that_another_job_has_is_taken() -> None:
    with pytest.raises(TypeError, match="kind 'send_email' is taken"):

        class Impostor(Job, kind="send_email"):
            pass

    assert registry["send_email"] is SendEmail


def test_a_payload_comes_back_as_it_was_stored() -> None:
    job = SendEmail(template="welcome", user_id=uuid4())

    assert SendEmail.from_payload(job.model_dump(mode="json"), SendEmail.version) == job


def test_a_payload_of_an_unknown_version_does_not_fail_the_job_and_the_error_says_what_to_do() -> None:
    with pytest.raises(
        UnknownVersionError, match="knows version 1 of send_email, and what is stored has version 2: deploy"
    ):
        SendEmail.from_payload({"template": "welcome", "user_id": str(uuid4())}, 2)


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        ({}, "user_id"),
        ({"user_id": "no id"}, "user_id"),
        ({"user_id": str(UUID(int=1)), "more": 1}, "more"),
        ({"user_id": None}, "user_id"),
    ],
)
def test_a_payload_that_does_not_fit_waits_for_a_version_that_it_fits_and_names_the_place(
    payload: dict[str, object], place: str
) -> None:
    with pytest.raises(UnreadableError, match=f"does not fit version 1 of send_welcome: .*{place}.*; deploy a version"):
        SendWelcome.from_payload(payload, 1)


def _broken(_: dict[str, object]) -> dict[str, object]:
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    "upgrade", [_broken, lambda payload: payload["gone"], lambda _: None], ids=["raises", "misses a field", "none"]
)
def test_an_upgrade_with_a_bug_waits_for_a_version_without_it(upgrade: Upgrade) -> None:
    class Greet(Job, kind="greet", version=2, upgrades={1: upgrade}):
        name: str

    with pytest.raises(UnreadableError, match=r"version 1 of greet.*; deploy a version that"):
        Greet.from_payload({"name": "Ada"}, 1)


def test_a_validator_with_a_bug_waits_for_a_version_without_it() -> None:
    class Greet(Job, kind="greet"):
        name: str

        @field_validator("name")
        @classmethod
        def known(cls, name: str) -> str:
            raise LookupError(name)

    with pytest.raises(UnreadableError, match="does not fit version 1 of greet: LookupError"):
        Greet.from_payload({"name": "Ada"}, 1)


def test_a_mail_that_a_person_waits_for_goes_before_the_others() -> None:
    assert SendEmail(template="activation", user_id=uuid4()).message_priority() == 9
    assert SendEmail(template="welcome", user_id=uuid4()).message_priority() == 5


def test_a_template_that_is_not_declared_is_refused_before_it_is_enqueued_and_named() -> None:
    job = SendEmail(template="activatoin", user_id=uuid4())

    problem = r"template 'activatoin' is not a declared mail; .* activation, "
    with pytest.raises(InvalidInputError, match=problem) as caught:
        job.check_payload()

    assert [pointer for pointer, _ in caught.value.errors] == ["/template"]


def test_both_answers_to_a_sign_up_go_at_one_priority_so_that_the_wait_reveals_nothing() -> None:
    activation, already_registered = (
        SendEmail(template=template, user_id=uuid4()).message_priority()
        for template in ("activation", "already_registered")
    )

    assert activation == already_registered


def test_one_welcome_per_user_is_unique_and_mails_are_not() -> None:
    one, other = uuid4(), uuid4()

    assert SendWelcome(user_id=one).unique_key() == SendWelcome(user_id=one).unique_key()
    assert SendWelcome(user_id=one).unique_key() != SendWelcome(user_id=other).unique_key()
    assert SendEmail(template="welcome", user_id=one).unique_key() is None


@pytest.mark.parametrize(
    "options", [{"attempts": 0}, {"base_seconds": 0.0}, {"base_seconds": 5.0, "cap_seconds": 4.0}], ids=str
)
def test_a_retry_policy_that_makes_no_sense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a retry policy needs"):
        RetryPolicy(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 2), (2, 4), (3, 8), (4, 10), (1000, 10)])
def test_the_wait_is_spread_evenly_below_a_ceiling_that_doubles_up_to_the_cap(attempt: int, ceiling: float) -> None:
    policy = RetryPolicy(base_seconds=2, cap_seconds=10)

    waits = [policy.wait_seconds(attempt) for _ in range(2000)]

    assert 0 <= min(waits) < 0.05 * ceiling
    assert 0.95 * ceiling < max(waits) <= ceiling
    assert mean(waits) == pytest.approx(ceiling / 2, rel=0.1)
