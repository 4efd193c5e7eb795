"""`Content-Disposition` of a download (RFC 6266): the name of the file, in any script."""

from urllib.parse import quote

#: What of a name every client reads in quotes.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-()")


def attachment(name: str) -> str:
    """Return the header's value; clients that know no `filename*` get the name with `_` for all but plain letters."""
    plain = "".join(letter if letter in _PLAIN else "_" for letter in name)
    encoded = quote(name, safe="", errors="replace")
    return f'attachment; filename="{plain}"' + ("" if plain == name else f"; filename*=UTF-8''{encoded}")
