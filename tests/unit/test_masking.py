"""What operators are shown holds no secret and no person's address."""

import pytest

from moneyflow.platform.telemetry.masking import MASK, masked


@pytest.mark.parametrize(
    "key",
    ["password", "user_password", "apiKey", "api-key", "access_token", "X-Auth-Token", "clientSecret", "authorization",
     "card_number", "cvc", "pin", "card_pin", "Cookie", "passphrase", "private_key"],
)  # fmt: skip
def test_what_a_key_calls_secret_is_masked_whatever_it_is(key: str) -> None:
    assert masked({key: "hunter22"}) == {key: MASK}
    assert masked({"deep": [{key: {"nested": 1}}]}) == {"deep": [{key: MASK}]}


@pytest.mark.parametrize("key", ["template", "user_id", "pinned", "passenger", "shipping", "bypass"])
def test_other_keys_are_shown(key: str) -> None:
    assert masked({key: "as it is"}) == {key: "as it is"}


def test_addresses_and_passwords_of_urls_are_masked_inside_texts() -> None:
    assert masked({"to": "Ada <ada.l@mail.example>, bob@other.example"}) == {
        "to": f"Ada <{MASK}@mail.example>, {MASK}@other.example"
    }
    assert masked(["amqp://app:hunter22@broker:5672/x"]) == [f"amqp://app:{MASK}@broker:5672/x"]


def test_numbers_flags_and_nothing_stay_and_the_original_is_not_changed() -> None:
    payload = {"amount_minor": 1250, "urgent": True, "note": None, "has_token": False, "who": "a@b.example"}

    shown = masked(payload)

    assert shown == {**payload, "who": f"{MASK}@b.example"}
    assert payload["who"] == "a@b.example"
