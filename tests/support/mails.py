"""What tests ask the mail catcher."""

from typing import Any

import httpx

from moneyflow.settings import Settings


def to(settings: Settings, address: str, *, subject: str | None = None) -> list[dict[str, Any]]:
    """Return the caught mails to an address, whole, the oldest first."""
    with httpx.Client(base_url=settings.mail_catcher_url, timeout=15, trust_env=False) as catcher:
        briefs, start = [], 0
        while page := catcher.get("/api/v1/messages", params={"start": start, "limit": 1000}).json()["messages"]:
            briefs += page
            start += len(page)
        return [
            catcher.get(f"/api/v1/message/{brief['ID']}").json()
            for brief in reversed(briefs)
            if address in {person["Address"] for person in brief["To"]} and subject in {None, brief["Subject"]}
        ]
