"""Keyed hashes: of what must be recognised, such as an address, and not be read or guessed from what is stored."""

import hashlib
import hmac


def keyed_hash(secret_key: str, text: str, *, purpose: str) -> bytes:
    """Return 32 bytes, HMAC-SHA256. SECURITY: the same text has another hash for each purpose and each secret key."""
    return hmac.new(secret_key.encode(), f"{purpose}:{text}".encode(), hashlib.sha256).digest()
