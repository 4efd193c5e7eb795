"""Fingerprints: by which an entry of a statement is known when it comes again, in the same or an overlapping file.

An entry with the bank's own id (OFX's FITID) is known by its account and that id. Every other one is known by what it
says (account, day, kind, amount, currency and note) and by how many such entries are before it in its file. So two
equal purchases of a day are two entries, and a file that repeats both adds none.

This holds for files that have whole days, as statements of banks do. A file that begins in the middle of a day, after
the first of two equal entries, shows the second as its first: it is taken for the one that is known. One account as CSV
and as OFX has two kinds of keys, and no bank writes the same notes into both: import an account in one format.
"""

from hashlib import blake2b
from uuid import UUID

from moneyflow.money.amounts import write_amount
from moneyflow.statements.reading.rows import Entry

#: Bytes of a key: no two of the entries that one person ever imports have the same.
_BYTES = 16


class Fingerprints:
    """The keys of the entries of one file, which are given in its order, from its first one."""

    def __init__(self, user_id: UUID) -> None:
        self._user_id = user_id.bytes
        #: How often each entry was seen. PERF: without an id of the bank, some hundred bytes for each entry.
        self._seen: dict[bytes, int] = {}

    def key(self, entry: Entry) -> bytes:
        """Return the key of the next entry."""
        if entry.bank_id:
            return self._hash("bank", entry.account, entry.currency, entry.bank_id)
        said = self._hash(
            "said",
            entry.account,
            entry.date.isoformat(),
            entry.kind,
            write_amount(entry.amount),
            entry.currency,
            entry.note.casefold(),
        )
        number = self._seen[said] = self._seen.get(said, 0) + 1
        return said if number == 1 else self._hash(said.hex(), str(number))

    def _hash(self, *parts: str) -> bytes:
        """Return the hash of the parts; no other parts have the same text."""
        text = "\0".join(parts)
        # The person is a part of it: keys of two people are never compared.
        return blake2b(text.encode(), digest_size=_BYTES, key=self._user_id).digest()
