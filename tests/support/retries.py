"""Requests as a good client sends them: repeated after `Retry-After` when the API is busy."""

import time

import httpx

_BUSY = frozenset({httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS})
#: Answers that a client takes before it gives up; a crowd that hashes its passwords gets a few.
_ATTEMPTS = 60


def pause_after(answer: httpx.Response) -> float | None:
    """Return the seconds until a client repeats its request; None when it was not answered that the API is busy."""
    if answer.status_code not in _BUSY or "Retry-After" not in answer.headers:
        return None
    return float(answer.headers["Retry-After"])


def post(
    client: httpx.Client, url: str, *, json: dict[str, str], headers: dict[str, str] | None = None
) -> httpx.Response:
    """Send a POST, and again while the API is busy; return the first other answer."""
    for _ in range(_ATTEMPTS):
        answer = client.post(url, json=json, headers=headers)
        seconds = pause_after(answer)
        if seconds is None:
            return answer
        time.sleep(seconds)
    raise AssertionError(f"the API was busy {_ATTEMPTS} times in a row, last with {answer.text}")
