"""Refused messages: each is counted by its reason, and a flood of them fills no log."""

import prometheus_client
import pytest
from structlog.testing import capture_logs

from moneyflow.platform.brokers.job_message import RefusedMessageError, decode
from workers.intake.refusals import Refusals


def _counted(reason: str) -> float:
    return prometheus_client.REGISTRY.get_sample_value("moneyflow_refused_messages_total", {"reason": reason}) or 0.0


def _refused(body: bytes) -> RefusedMessageError:
    with pytest.raises(RefusedMessageError) as caught:
        decode(body)
    return caught.value


def test_each_refusal_is_counted_and_each_reason_is_logged_once_a_minute_with_its_number() -> None:
    seconds = [0.0]
    refusals = Refusals(log_seconds=60, now=lambda: seconds[0])
    before = _counted("not_json"), _counted("other_fields")

    with capture_logs() as lines:
        for second in range(120):
            seconds[0] = float(second)
            refusals.add(reason=_refused(b"\xff").reason, detail="the body is not JSON")
        refusals.add(reason=_refused(b"{}").reason, detail="the fields are others")

    assert [(line["event"], line["reason"], line["messages"]) for line in lines] == [
        ("message_refused", "not_json", 1),
        ("message_refused", "not_json", 60),
        ("message_refused", "other_fields", 1),
    ]
    assert (_counted("not_json") - before[0], _counted("other_fields") - before[1]) == (120, 1)


def test_the_reasons_are_a_few_words_whatever_the_message_says() -> None:
    bodies = [b"", b"x" * 1000, b"[]", b"1", b'{"queue_name": "other"}', b"{}", "é".encode("latin-1")]

    assert {_refused(body).reason for body in bodies} == {"not_json", "other_fields"}
