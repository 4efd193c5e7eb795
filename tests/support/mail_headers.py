"""Names, addresses and subjects for mails: those that arrive as they are, and attacks, which are refused.

`python -m tests.support.mail_headers` sends all of them through the message builder of this interpreter and exits with
1 when one is not what it should be. It imports what is pure Python only, so that one environment serves every Python.
"""

import email.policy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from uuid import UUID

from moneyflow.gateways.mail import Recipient
from moneyflow.gateways.mail.message import build
from moneyflow.platform.errors import PermanentError

_JOB = UUID(int=1)
_BCC = "=?utf-8?q?x=0D=0ABcc:_evil@attacker.example?="

#: Of them `"` and `\` are quoted in a header, and what is no ASCII is encoded.
GOOD_NAMES = (
    "Ada Lovelace",
    "Zoë Müller",
    "Владимир Владимирович Маяковский",
    "山田 太郎",
    "محمد عبد الله",
    "אברהם בן־גוריון",
    "नरेन्द्र शर्मा",
    "👩🏽 family",
    'Ann "Quick" O\'Neil, Jr. (finance)',
    "a@b.example",
    "<evil@example.com>",
    "back\\slash; semi:colon",
    'quote" <evil@example.com>, "',
    "two  spaces",
    "Zoë " * 24 + "Zoë",
    "x" * 100,
    "",
)
ENCODED_WORDS = (
    _BCC,
    f"Zoë {_BCC}",
    f"{_BCC} Ada",
    "=?utf-8?q?=0D=0A=0D=0Aa_body?=",
    "=?utf-8?b?eA0KQmNjOiBldmlsQGF0dGFja2VyLmV4YW1wbGU=?=",
    "=?UTF-8*en?Q?x=0ABcc:_evil@attacker.example?=",
    "=?utf-8?q?support=40bank=2Eexample?=",
    "=?utf-8?q?a?= =?utf-8?q?=0D=0Ab?=",
    '"=?utf-8?q?x=0D=0ABcc:_evil@attacker.example?="',
    "=?utf-8?q?=22=20=3Cevil=40attacker=2Eexample=3E?=",
    "=?us-ascii?q?=00?=",
    "=?",
)
LINE_BREAKS = (
    "Zoë\r\nBcc: evil@attacker.example",
    "Zoë\nBcc: evil@attacker.example",
    "Zoë\rBcc: evil@attacker.example",
    "Zoë\r\n\r\nbody",
    "Zoë\r\n folded",
    "Zoë\u2028Bcc: evil@attacker.example",
    "Zoë\u2029Bcc: evil@attacker.example",
    "Zoë\x85Bcc: evil@attacker.example",
    "Zoë\x0bBcc: evil@attacker.example",
    "Zoë\x0cBcc: evil@attacker.example",
)
#: Control characters, bidirectional and other format characters, and half of a surrogate pair.
INVISIBLE = tuple(
    f"Zo{character}ë"
    for character in "\x00\t\x1b\x7f\x9b\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2066\u2067\u2068\u2069\ufeff\ufff9\U000e0041\ud800\udc41"
)
ATTACKS = (*ENCODED_WORDS, *LINE_BREAKS, *INVISIBLE)

GOOD_ADDRESSES = (
    "zoe+tag@example.com",
    "o'neil@example.com",
    "zoë@example.com",
    "владимир@example.com",
    "用户@例子.广告",
    f"{'l' * 64}@{'d' * 60}.example.com",
)
BAD_ADDRESSES = (
    "",
    "zoe",
    "zoe@",
    "@example.com",
    "a b@example.com",
    "a@b@c",
    "zoë",
    "zoë@",
    "zo ë@a b",
    "zoe@example.com,x@y",
    "zoe@example.com, x@example.com",
    "Foo <a@b.example>",
    "<a@b.example>",
    '"Foo" <a@b.example>',
    "a@b.example (Foo)",
    "(Foo) a@b.example",
    " a@b.example",
    "a@b.example ",
    "a@b.example\n",
    '"quoted local, part"@example.com',
    '"a"@example.com',
    "zoe@[127.0.0.1]",
    "zoe@localhost",
    "zoe@-a.example",
    "zoe@a..example",
    ".zoe@example.com",
    "zoe@example.com> SIZE=1",
    "zoe@exam\u00adple.com",
    "zoe@ex\u200dample.com",
    "=?utf-8?q?zoe?=@example.com",
    "zoe@=?utf-8?q?x=0D=0A?=.example",
    f"{'l' * 65}@example.com",
    f"zoe@{'d' * 64}.example.com",
    f"zoe@{'d.' * 150}com",
    *(f"{attack}@example.com" for attack in ATTACKS),
)


@dataclass(frozen=True)
class Texts:
    """A mail's texts."""

    subject: str = "A subject"
    text: str = "text\n"
    html: str = "<p>html</p>\n"


def built(
    *, name: str = "Zoë", address: str = "zoe@example.com", sender: str = "Money Flow", subject: str = "A subject"
) -> bytes:
    """Return the bytes of a mail with these headers."""
    from_ = Recipient(name=sender, address="no-reply@money-flow.example")
    to = Recipient(name=name, address=address)
    return build(Texts(subject=subject), sender=from_, to=to, job_id=_JOB).content


def built_of(texts: Texts) -> bytes:
    """Return the bytes of a mail with these texts."""
    from_ = Recipient(name="Money Flow", address="no-reply@money-flow.example")
    return build(texts, sender=from_, to=Recipient(name="Zoë", address="zoe@example.com"), job_id=_JOB).content


def read(content: bytes) -> EmailMessage:
    """Return the mail as a reader has it that decodes everything."""
    return BytesParser(_class=EmailMessage, policy=email.policy.SMTPUTF8).parsebytes(content)


def solid(text: str) -> str:
    """Leave out the spaces: Python's reader of addresses adds one between two encoded words, against RFC 2047."""
    return "".join(text.split())


def faults() -> Iterator[str]:
    """Yield what is not as it should be with this interpreter."""
    for place in ("name", "sender", "subject"):
        yield from (f"{place} {attack!a} was sent" for attack in ATTACKS if not _is_refused(place, attack))
        yield from (f"{place} {name!a} was changed" for name in GOOD_NAMES if not _arrives(place, name))
    yield from (f"address {address!a} was sent" for address in BAD_ADDRESSES if not _is_refused("address", address))


def _is_refused(place: str, value: str) -> bool:
    try:
        built(**{place: value})
    except PermanentError:
        return True
    return False


def _arrives(place: str, name: str) -> bool:
    """Return whether a reader finds the name as it was given, next to the mail's own addresses."""
    message = read(built(**{place: name}))
    wanted = {"name": ("Zoë", "zoe@example.com"), "sender": ("MoneyFlow", "no-reply@money-flow.example")}
    found = {}
    for which, header in (("name", message["To"]), ("sender", message["From"])):
        (address,) = header.addresses
        found[which] = (solid(address.display_name), address.addr_spec)
    if place == "subject":
        return str(message["Subject"]) == name and found == wanted
    return found == wanted | {place: (solid(name), wanted[place][1])}


if __name__ == "__main__":
    found = list(faults())
    sys.stdout.write("\n".join([f"{len(found)} faults on Python {sys.version.split()[0]}", *found]) + "\n")
    sys.exit(1 if found else 0)
