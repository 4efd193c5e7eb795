"""Sources of payments: tokens of the provider's own forms."""

from moneyflow.platform.patterns import Pattern

LONGEST_SOURCE = 207
SOURCE_FORM = "^(?!.*[0-9]{12})(tok|pm|ctoken)_[A-Za-z0-9_]{1,200}$"
_TOKEN = Pattern(r"(tok|pm|ctoken)_[A-Za-z0-9_]{1,200}", longest=LONGEST_SOURCE)
_CARD_NUMBER = Pattern(r"[0-9]{12}", longest=LONGEST_SOURCE)


def token(text: str) -> str:
    """Return a source that is a token.

    SECURITY: a card's number is never stored, also where a client takes it for a token.

    Raises:
        ValueError: it is anything else.
    """
    if not _TOKEN.fullmatch(text) or _CARD_NUMBER.search(text):
        raise ValueError("must be a token or a payment method of the provider, such as tok_ok, and no number of a card")
    return text
