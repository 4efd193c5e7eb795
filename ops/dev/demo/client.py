"""Client: sends the requests of the crowd, and repeats those that the API could not take at the moment."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

#: Attempts of a request while the API is down or busy; they share one `Idempotency-Key`, as those of every client
#: should.
_ATTEMPTS = 20
_LONGEST_PAUSE_SECONDS = 2.0
_LATER = frozenset({httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS, httpx.codes.CONFLICT})


@dataclass
class Client:
    """A client of the API; `repeated` counts the requests that were sent again, by path."""

    api: httpx.AsyncClient
    repeated: Counter[str] = field(default_factory=Counter)

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, str] | None = None,
        *,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request until it is answered, after the seconds of `Retry-After` where the API names them."""
        for attempt in range(_ATTEMPTS):
            pause = min(0.1 * 2**attempt, _LONGEST_PAUSE_SECONDS)
            try:
                answer = await self.api.request(method, path, json=body, files=files, data=form, headers=dict(headers))
            except httpx.TransportError:
                self.repeated[path] += 1
            else:
                if answer.status_code not in _LATER:
                    return answer
                self.repeated[path] += 1
                pause = float(answer.headers.get("Retry-After", pause))
            await asyncio.sleep(pause)
        raise RuntimeError(f"{urlsplit(str(self.api.base_url)).netloc}{path} did not answer in {_ATTEMPTS} attempts")
