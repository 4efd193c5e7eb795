"""The envelope's fast path: it reads what our producers write, and gives what the CloudEvents library gives."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moneyflow.events.user import UserCreated
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events import envelope
from moneyflow.platform.telemetry.origin import Origin

pytestmark = pytest.mark.usefixtures("contracts")

_TIME = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
_ORIGIN = Origin(correlation_id="request-1", traceparent="00-4bf9-00f0-01", actor_id="actor-1")
_OURS = UserCreated(sequence=3, user_id=UUID(int=7), created_at=_TIME).envelope(
    event_id=UUID(int=1), source="/money-flow/api", origin=_ORIGIN, time=_TIME
)
_FIELDS: dict[str, Any] = json.loads(_OURS)
_TIMES = (
    "2026-01-02T03:04:05Z",
    "2026-01-02 03:04:05.000006Z",
    "2026-W01-1T03:04:05.000006Z",
    "2026-01-02",
    "2026-02-30T03:04:05.000006Z",
    "2026-01-02T24:00:00.000000Z",
    "2026-01-02T03:04:60.000000Z",
    "1969-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.999999Z",
    "2026-01-02T03:04:05.000006+02:00:30",
)
_SCHEMAS = ("/schemas/user.created/0", "/schemas/user.deleted/1", "/schemas/user.created/12345")

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from([*_FIELDS, "data_base64", "datacontentencoding", "Upper", "other", ""])
_values = _json | st.sampled_from([*_TIMES, *_SCHEMAS, "1.0", "0.3", "", "007", str(10**18)])
_changed = st.dictionaries(_names, _values, max_size=3).map(lambda changes: json.dumps(_FIELDS | changes).encode())
_shortened = st.sets(_names, max_size=2).map(
    lambda names: json.dumps({name: value for name, value in _FIELDS.items() if name not in names}).encode()
)
_cut = st.integers(0, len(_OURS)).map(lambda end: _OURS[:end])


def _outcome(read: Any, value: bytes) -> str:
    """Return everything that a caller sees, in a form in which 1, 1.0 and True differ."""
    try:
        found = read(value)
    except PoisonError as error:
        return f"PoisonError: {error.detail}"
    assert isinstance(found, envelope.Envelope)
    return repr({**found._asdict(), "time": found.time.astimezone(UTC).isoformat()})


@settings(max_examples=400, deadline=None, database=None)
@given(_changed | _shortened | _cut | st.binary(max_size=50) | _json.map(lambda value: json.dumps(value).encode()))
@example(_OURS)
@example(_OURS.replace(b'"user_id"', b'"user_id":1,"user_id"'))
@example(_OURS.replace(b'"actor-1"', b'"\\u0000"'))
@example(_OURS.replace(b'"actor-1"', b'"\\ud800"'))
@example(_OURS.replace(b'"actor-1"', b'"%s"' % (b"a" * 256)))
@example(json.dumps(_FIELDS | {"data": {"amount": 10**30}}).encode())
@example(json.dumps(_FIELDS | {"data": [[[{"amount": 2**64}]]]}).encode())
@example(json.dumps(_FIELDS | {"data": json.loads("[" * 400 + "]" * 400)}).encode())
def test_the_fast_path_gives_what_the_library_gives_whatever_it_reads(value: bytes) -> None:
    assert _outcome(envelope.read, value) == _outcome(envelope.read_any, value)


@pytest.mark.parametrize(
    "change",
    [
        *({"time": text} for text in _TIMES),
        *({"dataschema": text} for text in _SCHEMAS),
        *({name: ""} for name in _FIELDS),
        *({name: None} for name in _FIELDS),
        *({name: 7} for name in _FIELDS),
    ],
)
def test_the_fast_path_gives_what_the_library_gives_for_each_attribute_that_is_not_as_ours(change: Any) -> None:
    value = json.dumps(_FIELDS | change).encode()

    assert _outcome(envelope.read, value) == _outcome(envelope.read_any, value)


def test_the_fast_path_reads_what_our_producers_write() -> None:
    assert envelope.read_fast(_OURS) == envelope.read_any(_OURS)
