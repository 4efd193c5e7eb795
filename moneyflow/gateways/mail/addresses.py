"""Mail addresses and display names: one check for every place where they come in, and for every mail that is sent.

SECURITY: what is validated is what is sent. Nothing that passes these checks is decoded, unquoted or stripped later.
"""

import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

#: Characters of the longest display name.
LONGEST_NAME = 100
#: Bytes of the longest address, by RFC 5321.
LONGEST_ADDRESS = 254
#: Control and format characters (Cf has the bidirectional ones), halves of surrogate pairs, line and paragraph breaks.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: How an encoded word of RFC 2047 begins, which mail programs decode wherever they find it.
_ENCODED_WORD = "=?"


@dataclass(frozen=True, kw_only=True)
class MailAddress:
    """A valid address: `domain` is in Unicode, `ascii_domain` is the same domain in the ASCII form of IDNA."""

    local: str
    domain: str
    ascii_domain: str

    @property
    def needs_smtputf8(self) -> bool:
        """Return whether only a server with SMTPUTF8 can take it: a local part has no ASCII form."""
        return not self.local.isascii()

    @property
    def on_the_wire(self) -> str:
        """Return the address as it is sent: its domain in ASCII, which every server reads, unless it needs SMTPUTF8."""
        return f"{self.local}@{self.domain if self.needs_smtputf8 else self.ascii_domain}"

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def mail_address(text: str) -> MailAddress:
    """Read a bare address such as ada@mail.example; in the result it is normalized, and reading that changes nothing.

    Raises:
        ValueError: it is anything else, such as `Ada <ada@mail.example>`, a quoted local part, or an encoded word.
    """
    if len(text) > LONGEST_ADDRESS:
        raise ValueError(f"must have at most {LONGEST_ADDRESS} characters")
    check_line(text)
    try:
        found = validate_email(
            text,
            allow_smtputf8=True,
            allow_empty_local=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            strict=True,
            check_deliverability=False,
            test_environment=False,
            globally_deliverable=True,
        )
    except EmailNotValidError as error:
        raise ValueError(f"must be an address such as ada@mail.example and nothing else: {error}") from None
    return MailAddress(local=found.local_part, domain=found.domain, ascii_domain=found.ascii_domain)


def normalized_address(text: str) -> str:
    """Return a bare address as it is stored; raises as `mail_address`."""
    return str(mail_address(text))


def stored_form(text: str) -> str:
    """Return an address as it is stored, such as for a look-up; any other text as it is, which no account has."""
    try:
        return normalized_address(text)
    except ValueError:
        return text


def check_name(text: str) -> str:
    """Return a display name, which may be empty.

    Raises:
        ValueError: it is too long, or no plain line of text.
    """
    if len(text) > LONGEST_NAME:
        raise ValueError(f"must have at most {LONGEST_NAME} characters")
    return check_line(text)


def check_line(text: str) -> str:
    """Return one line of visible text, which no mail program reads as anything else.

    Raises:
        ValueError: it has a control or format character, a line break, or the beginning of an encoded word.
    """
    for character in text:
        if unicodedata.category(character) in _INVISIBLE:
            raise ValueError(
                f"must hold no control or format characters and no line breaks; remove U+{ord(character):04X}"
            )
    if _ENCODED_WORD in text:
        raise ValueError(f"must not hold {_ENCODED_WORD!r}, the beginning of an encoded word; remove it")
    return text
