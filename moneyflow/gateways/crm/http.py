"""Requests to a CRM: their time-outs, and which answers mean an outage, a limit, or a content that it refuses."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from moneyflow.gateways.crm import CrmDownError
from moneyflow.gateways.crm.metrics import requests
from moneyflow.platform import clock

#: Seconds to connect, and for each part of a request and of its answer.
_CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
#: Seconds that one request may take, its connection included; its sender's lease is longer.
REQUEST_SECONDS = _CONNECT_SECONDS + 2 * ANSWER_SECONDS
#: Seconds of the longest `Retry-After` that is believed.
_LONGEST_WAIT_SECONDS = 86_400.0
#: Statuses of a content that the CRM does not take; every other 4xx is about all requests, such as a wrong address.
CONTENT = frozenset({400, 409, 413, 422})
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_ADVICE: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "it does not know CRM_TOKEN, or the signature by CRM_WEBHOOK_SECRET; correct that",
    HTTPStatus.FORBIDDEN: "CRM_TOKEN may not do this; give it the right to read and write contacts",
    HTTPStatus.GONE: "the receiver wants no more webhooks; correct CRM_URL, or leave it empty",
}


class CrmHttp:
    """The connections to one CRM; used by one thread. It repeats no request: that is its sender's.

    `limited_seconds` returns how long to wait after a 429 that does not say it by `Retry-After`.
    """

    def __init__(
        self,
        *,
        adapter: str,
        url: str,
        headers: Mapping[str, str],
        limited_seconds: Callable[[httpx.Response], float] = lambda _: 0,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._adapter = adapter
        self._url = url
        self._limited_seconds = limited_seconds
        self._client = httpx.Client(
            headers={"User-Agent": "money-flow", "Content-Type": "application/json", **headers},
            timeout=httpx.Timeout(answer_seconds, connect=_CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )

    def ask(
        self,
        act: str,
        method: str,
        path: str = "",
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Make one request and return its answer: 2xx, or a status of `CONTENT`.

        Raises:
            CrmDownError: there is no answer, or another one.
        """
        try:
            answer = self._client.request(method, self._url + path, content=content, headers=headers, params=params)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._count(act, "down")
            raise CrmDownError(f"no connection to the CRM at {self._url}: {error!r}") from None
        except httpx.HTTPError as error:
            self._count(act, "without_answer")
            detail = f"the CRM at {self._url} did not answer: {type(error).__name__}"
            raise CrmDownError(detail, may_have_acted=True) from None
        if not answer.is_success and answer.status_code not in CONTENT:
            self._count(act, "limited" if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS else "down")
            raise self._down(answer)
        self._count(act, "answered" if answer.is_success else "refused")
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _count(self, act: str, outcome: str) -> None:
        requests.labels(self._adapter, act, outcome).inc()

    def _down(self, answer: httpx.Response) -> CrmDownError:
        status = answer.status_code
        if answer.is_redirect:
            advice = "it redirects, which is not followed; set CRM_URL to the address that it redirects to"
        elif status in _LATER or answer.is_server_error:
            advice = "its requests are repeated later"
        else:
            advice = _ADVICE.get(status, "correct CRM_URL")
        asked = retry_after(answer)
        if asked is None:
            asked = self._limited_seconds(answer) if status == HTTPStatus.TOO_MANY_REQUESTS else 0
        return CrmDownError(
            f"the CRM at {self._url} answers {status}: {advice}",
            retry_after_seconds=asked,
            may_have_acted=answer.is_server_error,
        )


def retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds that an answer asks to wait, by a number or a date; None when it does not say."""
    text = answer.headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        seconds = float(text) if text.isdecimal() else (_moment(text) - clock.now()).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


def _moment(text: str) -> datetime:
    found = parsedate_to_datetime(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
