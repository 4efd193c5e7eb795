"""Clients of the running stack: they come by https, through nginx, and trust the stack's own authority alone."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict


class ClientOptions(TypedDict):
    """The options of an httpx client."""

    base_url: str
    verify: ssl.SSLContext
    trust_env: bool


def client_options(environment: Mapping[str, str]) -> ClientOptions:
    """Return the options of a client of the API, from the stack's settings."""
    authority = environment.get("APP_CA_FILE")
    context = ssl.create_default_context(cafile=authority if authority and Path(authority).exists() else None)
    return {"base_url": environment["APP_URL"], "verify": context, "trust_env": False}
