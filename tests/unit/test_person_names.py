"""Names and addresses of people as they sign up: plain lines, and nothing that a mail would show as a link."""

import orjson
import pytest

from api.bodies import parse
from api.resources.users import SignUp
from moneyflow.accounts.names import check_person, has_link, person_name
from moneyflow.platform.errors import InvalidInputError
from tests.support.mail_headers import ATTACKS, BAD_ADDRESSES, GOOD_ADDRESSES

_LINKS = [
    "http://evil.example",
    "Zoë https://evil.example/x?y#z",
    "HTTPS://EVIL",
    "hxxp://evil",
    "//evil.example/path",
    "www.evil",
    "WWW.EVIL.EXAMPLE",
    "evil.example",
    "evil.co/win",
    "Win now at bit.ly/3xYz",
    "click(evil.example)",
    "xn--80ak6aa92e.com",
    "例子.广告",
    "例子。广告",
    "evil\uff0eexample",
    "evil｡example",
    "\uff45\uff56\uff49\uff4c\uff0e\uff43\uff4f\uff4d",
    "evil\u2024example",
    "💩.la",
    "evil.c\u0301om",
    "mailto:evil",
    "MAILTO:evil@attacker.example",
    "tel:+4912345",
    "javascript:alert(1)",
    "evil@attacker.example",
    "evil\uff20attacker",
    "http:evil",
]
_NAMES = [
    "Ada Lovelace",
    "R. L. Stevenson",
    "J.R.R. Tolkien",
    "Dr. med. Eva Brandt",
    "Ph.D Ada",
    "Smith, John Jr.",
    'Anne "Annie" Oakley',
    "Mary-Jane O'Neill",
    "Ngũgĩ wa Thiong'o",
    "キム・ジュノ",
    "山田　太郎",
    "AC/DC",
    "Zoë @ Work",
    "Note: Ada",
    "Wait... Ada",
    "No. 5",
    "💩",
]


#: JSON in UTF-8 has no halves of surrogate pairs.
_IN_JSON = [address for address in BAD_ADDRESSES if address.encode("utf-8", "ignore").decode() == address]


def _body(**changes: str) -> bytes:
    person = {"email": "ada@mail.example", "name": "Ada Lovelace", "password": "correct horse battery"}
    return orjson.dumps(person | changes)


@pytest.mark.parametrize("link", _LINKS)
def test_a_name_with_a_link_is_refused(link: str) -> None:
    assert has_link(link)

    with pytest.raises(InvalidInputError) as caught:
        parse(_body(name=link), SignUp)

    assert [pointer for pointer, _ in caught.value.errors] == ["/name"]
    assert "must not look like a link" in caught.value.errors[0][1]


@pytest.mark.parametrize("name", _NAMES)
def test_a_name_without_a_link_is_stored_as_it_is(name: str) -> None:
    assert parse(_body(name=f" {name} "), SignUp).name == name


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_name_and_an_address_that_a_mail_could_not_carry_are_refused(attack: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_person(email=f"{attack}@mail.example", name=attack)

    assert [pointer for pointer, _ in caught.value.errors] == ["/email", "/name"]


@pytest.mark.parametrize("address", _IN_JSON)
def test_an_address_that_is_not_bare_is_refused(address: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse(_body(email=address), SignUp)

    assert [pointer for pointer, _ in caught.value.errors] == ["/email"]


@pytest.mark.parametrize("address", GOOD_ADDRESSES)
def test_an_address_of_any_script_is_stored_as_it_is(address: str) -> None:
    assert parse(_body(email=address), SignUp).email == address


def test_a_name_has_at_most_a_hundred_characters_and_one_that_is_seen() -> None:
    assert person_name("x" * 100) == "x" * 100

    for name in ("x" * 101, "", "   ", "\u3000"):
        with pytest.raises(InvalidInputError, match="name must"):
            check_person(email="ada@mail.example", name=name)
