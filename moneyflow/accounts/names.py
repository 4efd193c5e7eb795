"""Names of people: a visible line of text that carries no link into a mail.

SECURITY: a person who signs up chooses both the name and the address, so the first mail brings text of a stranger to an
address whose owner asked for nothing. A name that a mail program would show as a link is refused.
"""

import unicodedata

from moneyflow.gateways.mail.addresses import check_name, normalized_address
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.patterns import Pattern

#: What mail programs turn into links: a scheme, an address, and a domain, by its dot in any script before two letters.
_LINK = Pattern(r"\w:\S|://|\S@\S|[^\s.。][.。][^\W\d_]{2}", longest=1_000)


def person_name(text: str) -> str:
    """Return a person's name without the spaces around it.

    Raises:
        ValueError: it is empty, too long, no plain line of text, or has what reads as a link.
    """
    name = check_name(text).strip()
    if not name:
        raise ValueError("must not be empty")
    if has_link(name):
        raise ValueError("must not look like a link or an address: put a space after each dot, and leave out : and @")
    return name


def check_person(*, email: str, name: str) -> tuple[str, str]:
    """Return a person's address and name as they are stored.

    Raises:
        InvalidInputError: one of them is not valid; `errors` names each.
    """
    checked, errors = [], []
    for pointer, check, text in (("/email", normalized_address, email), ("/name", person_name, name)):
        try:
            checked.append(check(text))
        except ValueError as error:
            errors.append((pointer, str(error)))
    if errors:
        problems = "; ".join(f"{pointer[1:]} {problem}" for pointer, problem in errors)
        raise InvalidInputError(f"the person was not stored: {problems}", tuple(errors))
    return checked[0], checked[1]


def is_plain(name: str) -> bool:
    """Return whether a mail's header can carry the name."""
    try:
        check_name(name)
    except ValueError:
        return False
    return True


def has_link(name: str) -> bool:
    """Return whether a mail program may show a part of the name as a link."""
    return _LINK.search(unicodedata.normalize("NFKC", name)) is not None
