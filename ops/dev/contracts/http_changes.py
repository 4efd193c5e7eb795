"""Changes of the OpenAPI document that break a client: routes, methods, parameters, bodies, statuses, sign-in."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops.dev.contracts.schema_changes import Comparison, resolved

Document = Mapping[str, Any]

_METHODS = ("get", "head", "post", "put", "patch", "delete")


def breaking_changes(before: Document, after: Document) -> Iterator[str]:
    """Yield each change by which a client of the old document may fail."""
    for path, item in before["paths"].items():
        if path not in after["paths"]:
            yield f"{path} was removed"
            continue
        for method in item.keys() & set(_METHODS):
            name, now = f"{method.upper()} {path}", after["paths"][path].get(method)
            if now is None:
                yield f"{name} was removed"
            else:
                yield from _Operation(before, after, name).changes(item[method], now)


class _Operation:
    """One method of one path in both documents."""

    def __init__(self, before: Document, after: Document, name: str) -> None:
        self._before, self._after, self._name = before, after, name
        self._sent = Comparison(before, after, is_sent=True)
        self._received = Comparison(before, after, is_sent=False)

    def changes(self, was: Document, now: Document) -> Iterator[str]:
        yield from self._sign_in(was.get("security", []), now.get("security", []))
        yield from self._parameters(was, now)
        yield from self._body(was.get("requestBody"), now.get("requestBody"))
        for status, answer in was["responses"].items():
            if status not in now["responses"]:
                yield f"{self._name} no longer answers {status}"
            else:
                yield from self._answer(status, answer, now["responses"][status])

    def _sign_in(self, was: list[Document], now: list[Document]) -> Iterator[str]:
        """Each way to sign in has to suffice, or fewer headers; without any the operation is public."""
        if now and not was:
            yield f"{self._name} is no longer public"
        for way in was:
            if now and not any(other.keys() <= way.keys() for other in now):
                yield f"{self._name} is no longer called with {' and '.join(way)}"

    def _parameters(self, was: Document, now: Document) -> Iterator[str]:
        old, new = _parameters(self._before, was), _parameters(self._after, now)
        for key in old.keys() - new.keys():
            yield f"{self._name}: the {key[0]} parameter {key[1]} was removed"
        for key, parameter in new.items():
            place = f"{self._name}: the {key[0]} parameter {key[1]}"
            if parameter["required"] and not old.get(key, {}).get("required"):
                yield f"{place} is required"
            if key in old:
                yield from self._sent.changes(old[key]["schema"], parameter["schema"], place)

    def _body(self, was: Document | None, now: Document | None) -> Iterator[str]:
        if (was is None) is not (now is None):
            yield f"{self._name} {'takes a body' if was is None else 'takes no body any more'}"
        elif was is not None and now is not None:
            if now.get("required") and not was.get("required"):
                yield f"{self._name}: the body is required"
            yield from self._contents(self._sent, was, now, f"{self._name}: the body")

    def _answer(self, status: str, was: Document, now: Document) -> Iterator[str]:
        was, now = resolved(self._before, was), resolved(self._after, now)
        for header in was.get("headers", {}).keys() - now.get("headers", {}).keys():
            yield f"{self._name}: the answer {status} lost the header {header}"
        yield from self._contents(self._received, was, now, f"{self._name}: the answer {status}")

    def _contents(self, comparison: Comparison, was: Document, now: Document, place: str) -> Iterator[str]:
        for media_type, content in was.get("content", {}).items():
            if media_type not in now.get("content", {}):
                yield f"{place} is no longer {media_type}"
            else:
                new = now["content"][media_type].get("schema", {})
                yield from comparison.changes(content.get("schema", {}), new, place)


def _parameters(document: Document, operation: Document) -> dict[tuple[str, str], Document]:
    found = [resolved(document, part) for part in operation.get("parameters", ())]
    return {(one["in"], one["name"]): one for one in found}
