"""What tests ask the mail catcher."""

from collections import Counter
from typing import Any

import httpx

from moneyflow.settings import AllSettings


def to(settings: AllSettings, address: str, *, subject: str | None = None) -> list[dict[str, Any]]:
    """Return the caught mails to an address, whole, the oldest first."""
    with httpx.Client(base_url=settings.mail_catcher_url, timeout=15, trust_env=False, verify=False) as catcher:
        briefs, start = [], 0
        while page := catcher.get("/api/v1/messages", params={"start": start, "limit": 1000}).json()["messages"]:
            briefs += page
            start += len(page)
        return [
            catcher.get(f"/api/v1/message/{brief['ID']}").json()
            for brief in reversed(briefs)
            if address in {person["Address"] for person in brief["To"]} and subject in {None, brief["Subject"]}
        ]


def ids_to(settings: AllSettings, domain: str) -> Counter[str]:
    """Count the caught mails to a domain by Message-ID."""
    found: Counter[str] = Counter()
    with httpx.Client(base_url=settings.mail_catcher_url, timeout=30, trust_env=False, verify=False) as catcher:
        start = 0
        while page := catcher.get("/api/v1/messages", params={"start": start, "limit": 1000}).json()["messages"]:
            found.update(mail["MessageID"] for mail in page if mail["To"][0]["Address"].endswith(domain))
            start += len(page)
    return found
