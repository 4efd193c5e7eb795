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


def test_what_is_too_long_or_too_deep_to_be_read_is_cut_with_a_note() -> None:
    deep: object = "x"
    for _ in range(200):
        deep = [deep]

    shown = masked({"text": "a" * 40_000, "list": list(range(10_000))})

    assert shown["text"] == "a" * 32_768 + "… (7232 more characters)"
    assert shown["list"][-1] == f"… ({10_000 - len(shown['list']) + 1} more)"
    assert "too deep to be shown" in str(masked(deep))
    assert masked({"k" * 1_000: "x"}) == {"k" * 1_000: MASK}


def test_a_secret_at_the_cut_of_a_long_text_is_masked_whole() -> None:
    for before in range(32_768 - 12, 32_769):
        shown = masked("." * (before - 1) + " hunter22.hunter22@mail.example" + "." * 40_000)

        assert "hu" not in shown
