"""HubSpot's errors: which are about one person, which about all, and what of them may be kept.

SECURITY: the texts of HubSpot's errors name addresses, so of an error its codes and names of properties are kept.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx
import orjson

from moneyflow.gateways.crm import CrmDownError, Refusal
from moneyflow.platform.patterns import Pattern

#: A code or the name of a property: nothing that an address or a name could be.
_CODE = Pattern(r"[A-Z][A-Z0-9_]{1,60}", longest=61)
_PROPERTY = Pattern(r"[a-z][a-z0-9_]{0,60}", longest=61)
#: Codes that say that the account is not set up: no one is to blame.
_SET_UP = ("PROPERTY_DOESNT_EXIST", "PROPERTY_DOES_NOT_EXIST", "NON_UNIQUE_PROPERTY")
_CONFLICTS = frozenset({"CONFLICT", "DUPLICATE_VALUE"})
#: Seconds to wait after a limit that does not say how long, by its policy. The daily limit ends at midnight of the
#: account's time zone, so HubSpot is asked again each quarter of an hour.
_LIMITS = {"DAILY": 900.0, "TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0}


def check_set_up(answer: httpx.Response, *, url: str) -> None:
    """Refuse to blame a person for an account that lacks our properties.

    Raises:
        CrmDownError: it does.
    """
    if any(code in answer.text for code in _SET_UP):
        raise CrmDownError(
            f"HubSpot at {url} lacks a property money_flow_…; make them as ops/runbooks/crm.md has it, section Set up "
            "HubSpot"
        )


def limited_seconds(answer: httpx.Response) -> float:
    """Return the seconds to wait after a 429, by the policy that it names."""
    return _LIMITS.get(str(_body(answer).get("policyName")), 1.0)


def refusal_of(answer: httpx.Response) -> Refusal:
    """Return why a whole batch is refused."""
    return _refusal(_body(answer), otherwise=f"http_{answer.status_code}")


def refusals_of(body: Mapping[str, Any], asked: Mapping[str, UUID]) -> dict[UUID, Refusal]:
    """Return why a 207 refuses people, by the ids in the context of its errors."""
    return {
        asked[text]: _refusal(error, otherwise="refused")
        for error in body.get("errors", ())
        for text in _named(error)
        if text in asked
    }


def _body(answer: httpx.Response) -> Mapping[str, Any]:
    with suppress(orjson.JSONDecodeError):
        if isinstance(found := orjson.loads(answer.content), Mapping):
            return found
    return {}


def _named(error: Mapping[str, Any]) -> Iterator[str]:
    context = error.get("context") or {}
    for name in ("objectWriteTraceId", "ids", "id"):
        yield from context.get(name) or ()


def _refusal(error: Mapping[str, Any], *, otherwise: str) -> Refusal:
    details = [one for one in error.get("errors") or () if isinstance(one, Mapping)]
    codes = [*(one.get("code") for one in details), error.get("category")]
    code = next((one for one in codes if isinstance(one, str) and _CODE.fullmatch(one)), otherwise)
    names = [name for one in (*details, error) for name in (one.get("context") or {}).get("propertyName") or ()]
    names += [one.get("in") for one in details]
    found = next((name for name in names if isinstance(name, str) and _PROPERTY.fullmatch(name)), None)
    return Refusal(code=code, field=found, may_pass=bool(_CONFLICTS.intersection(map(str, codes))))
