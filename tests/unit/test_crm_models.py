"""Adapter and double are held to HubSpot's own models and client, and to the library of Standard Webhooks."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hubspot.crm import contacts as own
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from moneyflow.gateways.crm import Contact, CrmDownError, Refusal, Removal
from moneyflow.gateways.crm import http as crm_http
from moneyflow.gateways.crm.hubspot import ID_PROPERTY, HubSpot
from tests.support.crm import OLD_SECRET, SECRET, TOKEN, RunningCrm, running_crm

_MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def crm() -> Iterator[RunningCrm]:
    with running_crm(":memory:") as running:
        yield running


@pytest.fixture
def exchanged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[httpx.Request, httpx.Response]]:
    """Return the requests of our adapters and the double's answers, as they are made."""
    found: list[tuple[httpx.Request, httpx.Response]] = []
    make = httpx.Client

    def client(**options: Any) -> httpx.Client:
        return make(**options, event_hooks={"response": [lambda answer: found.append((answer.request, answer))]})

    monkeypatch.setattr(httpx, "Client", client)
    return found


def _contact(**values: Any) -> Contact:
    id_ = uuid4()
    return replace(Contact(id=id_, version=1, email=f"{id_}@mail.example", name="Ada", created_at=_MOMENT), **values)


def _read(model: str, content: bytes) -> Any:
    """Read a body as HubSpot's own client reads it: it refuses what is missing or of another type."""
    client = own.ApiClient()
    return client.deserialize(SimpleNamespace(data=content.decode()), model)


def _same(model: Any, content: bytes) -> None:
    """Check that the model has lost nothing of the body: every field of it is one of HubSpot's."""
    client = own.ApiClient()
    shown = client.sanitize_for_serialization(model)
    assert _names(json.loads(content)) <= _names(shown)


def _names(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_names, value.values()))
    return set().union(*map(_names, value)) if isinstance(value, list) else set()


def test_every_request_and_answer_is_one_of_hubspots_own_models(
    exchanged: list[tuple[httpx.Request, httpx.Response]], crm: RunningCrm
) -> None:
    people = [_contact() for _ in range(3)]
    ours = crm.hubspot()
    ours.upsert(people)
    crm.set_faults({"kind": "refuse", "about": str(people[0].id)})
    ours.upsert(people)
    ours.find([people[0].id, uuid4()])
    list(ours.ids())
    ours.remove([Removal(id=people[0].id, version=1)])

    models = [
        ("BatchInputSimplePublicObjectBatchInputUpsert", "BatchResponseSimplePublicUpsertObject"),
        ("BatchInputSimplePublicObjectBatchInputUpsert", "BatchResponseSimplePublicUpsertObjectWithErrors"),
        ("BatchReadInputSimplePublicObjectId", "BatchResponseSimplePublicObjectWithErrors"),
        (None, "CollectionResponseSimplePublicObjectWithAssociationsForwardPaging"),
        ("BatchReadInputSimplePublicObjectId", "BatchResponseSimplePublicObject"),
        ("BatchInputSimplePublicObjectId", None),
    ]
    assert [answer.status_code for _, answer in exchanged] == [200, 207, 207, 200, 200, 204]
    for (asked, answered), (request, answer) in zip(models, exchanged, strict=True):
        for model, content in ((asked, request.content), (answered, answer.content)):
            if model:
                _same(_read(model, content), content)


def test_hubspots_own_client_finds_the_double_to_be_hubspot(crm: RunningCrm) -> None:
    configuration = own.Configuration(host=crm.url)
    configuration.access_token = TOKEN
    client = own.ApiClient(configuration)
    batches, contacts = own.BatchApi(client), own.BasicApi(client)
    id_ = str(uuid4())
    one = own.SimplePublicObjectBatchInputUpsert(
        id=id_, id_property=ID_PROPERTY, properties={ID_PROPERTY: id_, "email": "Ada@mail.example"}
    )
    body = own.BatchInputSimplePublicObjectBatchInputUpsert(inputs=[one])

    (made,) = batches.upsert(body).results
    (again,) = batches.upsert(body).results
    (listed,) = contacts.get_page(properties=[ID_PROPERTY]).results
    archived = own.BatchInputSimplePublicObjectId(inputs=[own.SimplePublicObjectId(id=listed.id)])
    batches.archive(archived)

    assert (made.new, again.new, made.id) == (True, False, again.id)
    assert listed.properties["email"] == "ada@mail.example"
    assert contacts.get_page().results == []
    client.rest_client.pool_manager.clear()


def test_the_doubles_errors_and_limits_are_hubspots(crm: RunningCrm) -> None:
    ask = httpx.Client(base_url=f"{crm.url}/crm/v3/objects/contacts", headers={"Authorization": f"Bearer {TOKEN}"})
    inputs = [{"id": str(n), "idProperty": ID_PROPERTY, "properties": {}} for n in range(101)]

    too_many = ask.post("/batch/upsert", json={"inputs": inputs})
    doubled = ask.post("/batch/upsert", json={"inputs": inputs[:1] * 2})
    crm.double.hubspot._requests = 2
    limited = ask.post("/batch/read", json={"inputs": inputs[:1]})
    unknown = ask.get("", headers={"Authorization": "Bearer other"})
    ask.close()

    assert [answer.status_code for answer in (too_many, doubled, limited, unknown)] == [400, 400, 429, 401]
    for answer in (too_many, doubled, unknown):
        _read("Error", answer.content)
    assert (limited.json()["policyName"], int(limited.headers["Retry-After"]) > 0) == ("TEN_SECONDLY_ROLLING", True)


@pytest.mark.parametrize(
    ("fault", "seconds", "may_have_acted"),
    [
        ({"kind": "rate_limit", "seconds": 7}, 7, False),
        ({"kind": "daily_limit"}, 900, False),
        ({"kind": "error"}, 0, True),
        ({"kind": "error_after"}, 0, True),
        ({"kind": "timeout", "seconds": 30}, 0, True),
        ({"kind": "slow", "seconds": 30}, 0, True),
        ({"kind": "cut"}, 0, True),
        ({"kind": "unauthorized"}, 0, False),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else str(value),
)
def test_each_fault_of_the_double_is_an_outage_that_says_how_long_and_whether_it_may_have_acted(
    fault: dict[str, Any], seconds: float, may_have_acted: bool, crm: RunningCrm
) -> None:
    for client in (crm.hubspot(), crm.webhook()):
        crm.set_faults(fault)
        with pytest.raises(CrmDownError) as caught:
            client.upsert([_contact()])

        if not (fault["kind"] == "daily_limit" and client.name == "webhook"):  # Only HubSpot has that policy.
            assert caught.value.retry_after_seconds == seconds
        assert caught.value.may_have_acted == may_have_acted


def test_an_address_of_another_contact_is_a_refusal_that_may_pass(crm: RunningCrm) -> None:
    first = _contact()
    second = _contact(email=first.email.upper())
    crm.hubspot().upsert([first])

    answer = crm.hubspot().upsert([second])

    assert answer.refused == {second.id: Refusal(code="CONFLICT", field="email", may_pass=True)}


def test_an_account_without_our_properties_is_no_ones_fault(crm: RunningCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops.dev.crm_double import server  # noqa: PLC0415 - its answer is replaced
    from ops.dev.crm_double.hubspot import Reply, error  # noqa: PLC0415

    text = 'Property values were not valid: [{"error":"PROPERTY_DOESNT_EXIST","name":"money_flow_id"}]'
    monkeypatch.setattr(server, "refused_batch", lambda: Reply(status=400, body=error("VALIDATION_ERROR", text)))
    crm.set_faults({"kind": "refuse_batch"})

    with pytest.raises(CrmDownError, match=r"lacks a property money_flow_"):
        crm.hubspot().upsert([_contact()])


def test_what_is_not_hubspot_is_an_outage(crm: RunningCrm) -> None:
    moved = HubSpot(url=f"{crm.url}/moved", token=TOKEN)

    with pytest.raises(CrmDownError, match=r"answers 40[14]: "):
        moved.upsert([_contact()])
    moved.close()


def test_a_webhook_is_verified_by_the_old_and_the_new_secret_while_it_is_rotated() -> None:
    for known, signed_with, is_taken in [
        (SECRET, (OLD_SECRET, SECRET), True),
        (OLD_SECRET, (OLD_SECRET, SECRET), True),
        (SECRET, (SECRET,), True),
        (SECRET, (OLD_SECRET,), False),
    ]:
        with running_crm(":memory:", secrets=(known,)) as crm:
            client = crm.webhook(secrets=signed_with)
            if is_taken:
                client.upsert([_contact()])
            else:
                with pytest.raises(CrmDownError, match="CRM_WEBHOOK_SECRET"):
                    client.upsert([_contact()])
            assert len(crm.contacts()) == is_taken


def test_a_signed_message_is_what_standard_webhooks_verifies_and_one_that_is_changed_or_old_is_not(
    exchanged: list[tuple[httpx.Request, httpx.Response]], crm: RunningCrm
) -> None:
    person = _contact()
    for _ in range(2):
        crm.webhook().upsert([person])
    (first, _), (second, _) = exchanged

    verifier = Webhook(SECRET)
    body = verifier.verify(first.content, dict(first.headers))
    assert body["data"]["contacts"] == [{"id": str(person.id), "version": 1, **person.fields()}]
    assert first.headers["webhook-id"] == second.headers["webhook-id"], "the same content has the same id"
    with pytest.raises(WebhookVerificationError):
        verifier.verify(first.content + b" ", dict(first.headers))
    old = _MOMENT - timedelta(days=1)
    signature = Webhook(base64.b64decode(SECRET.removeprefix("whsec_"))).sign("msg_1", old, first.content.decode())
    stale = {"webhook-id": "msg_1", "webhook-timestamp": str(int(old.timestamp())), "webhook-signature": signature}
    assert httpx.post(crm.url, content=first.content, headers=stale, trust_env=False).status_code == 401


def test_a_receiver_of_webhooks_keeps_the_highest_version_in_whatever_order_they_come(crm: RunningCrm) -> None:
    first = _contact()
    client = crm.webhook()

    client.upsert([replace(first, version=2, name="new")])
    client.upsert([first])
    assert [values["name"] for values in crm.contacts().values()] == ["new"]

    client.remove([Removal(id=first.id, version=3)])
    client.upsert([replace(first, version=2, name="new")])
    assert crm.contacts() == {}


def test_the_double_keeps_its_contacts_when_it_ends(tmp_path: Any) -> None:
    person = _contact()
    with running_crm(tmp_path / "crm.sqlite") as crm:
        crm.hubspot().upsert([person])

    with running_crm(tmp_path / "crm.sqlite") as crm:
        assert crm.contacts().keys() == {person.id}


def test_faults_are_switched_over_http_and_counted(crm: RunningCrm) -> None:
    with httpx.Client(base_url=f"{crm.url}/admin", trust_env=False) as admin:
        admin.put("/faults", json=[{"kind": "error", "times": 2}])
        for _ in range(2):
            with pytest.raises(CrmDownError):
                crm.hubspot().upsert([_contact()])
        crm.hubspot().upsert([_contact()])

        assert admin.get("").json() == {"contacts": 1, "answers": {"500": 2, "200": 1}, "faults_met": {"error": 2}}
        assert admin.get("/faults").json() == {"faults": []}
        assert admin.put("/faults", json=[{"kind": "earthquake"}]).status_code == 400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), ("99999999", 86_400), ("soon", None), ("", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)],
)
def test_retry_after_is_a_number_or_a_date_and_bounded(text: str, seconds: float | None) -> None:
    assert crm_http.retry_after(httpx.Response(429, headers={"Retry-After": text})) == seconds
