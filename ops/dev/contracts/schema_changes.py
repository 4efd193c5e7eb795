"""Changes of a JSON Schema that break a client: of what it may send, and of what it receives.

A client sends what the old schema takes, and reads what the old schema promises. So a schema for requests may only
take more, and one for answers may only promise more. More members in an answer break no client: each ignores those
that it does not know.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

#: Bounds of what is sent; a client may send what the old bound allowed.
_LOWEST = {
    "minimum": -math.inf,
    "exclusiveMinimum": -math.inf,
    "minLength": 0,
    "minItems": 0,
    "minProperties": 0,
}
_HIGHEST = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
#: Members within members that are compared: a type may refer to itself.
_DEEPEST = 30
#: Schemas of what a type holds.
_INNER = {"items": "array", "additionalProperties": "object"}
_NONE = object()
_FORMS = ("pattern", "format", "multipleOf")


@dataclass(frozen=True)
class Comparison:
    """Compares schemas of two documents, whose references lead into their own components."""

    before: Schema
    after: Schema
    #: Whether clients send it; else they receive it.
    is_sent: bool

    def changes(self, before: Schema, after: Schema, where: str) -> Iterator[str]:
        """Yield each breaking change, with its place."""
        before, after = resolved(self.before, before), resolved(self.after, after)
        if where.count("/") > _DEEPEST or (before == after and "$ref" not in str(before)):
            return
        if self.is_sent and "default" in before and before["default"] != after.get("default", _NONE):
            yield f"{where} has another default: {after.get('default', 'none')!r}"
        old, new = _choices(before), _choices(after)
        if len(old) == len(new) == 1:
            yield from self._of_one(old[0], new[0], where)
        else:
            yield from self._of_choices(old, new, where)

    def _of_choices(self, old: list[Schema], new: list[Schema], where: str) -> Iterator[str]:
        """Each choice that was taken has to be taken; each that is answered has to be one that was."""
        needed, offered = (old, new) if self.is_sent else (new, old)
        for choice in needed:
            pairs = [(choice, other) if self.is_sent else (other, choice) for other in offered]
            if all(any(self.changes(was, now, where)) for was, now in pairs):
                what = "no longer takes" if self.is_sent else "may now be"
                yield f"{where} {what} {_named(choice)}"

    def _of_one(self, before: Schema, after: Schema, where: str) -> Iterator[str]:
        yield from self._types(before, after, where)
        yield from self._values(before, after, where)
        if self.is_sent:
            yield from _bounds(before, after, where)
        elif before.get("format") != after.get("format"):
            yield f"{where} has another format"
        yield from self._members(before, after, where)
        for inner, kind in _INNER.items():
            if _may_be(before, kind) and _may_be(after, kind):
                yield from self._inner(before.get(inner, True), after.get(inner, True), f"{where}[]")

    def _inner(self, before: Schema | bool, after: Schema | bool, where: str) -> Iterator[str]:
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from self.changes(before, after, where)
        elif self.is_sent and before is True and isinstance(after, Mapping):
            yield from self.changes({}, after, where)
        elif not self.is_sent and isinstance(before, Mapping) and before and after is True:
            yield f"{where} may now be of any type"

    def _types(self, before: Schema, after: Schema, where: str) -> Iterator[str]:
        was, now = _types(before), _types(after)
        if self.is_sent and was and now and not was <= now:
            yield f"{where} no longer takes {_listed(was - now)}"
        elif self.is_sent and now and not was and _values(before) is None:
            yield f"{where} takes only {_listed(now)}"
        elif not self.is_sent and was and not now <= was:
            yield f"{where} may now be {_listed(now - was)}"
        elif not self.is_sent and was and not now:
            yield f"{where} may now be of any type"

    def _values(self, before: Schema, after: Schema, where: str) -> Iterator[str]:
        was, now = _values(before), _values(after)
        if was is not None and now is not None and (lost := [value for value in was if value not in now]):
            yield f"{where} lost the value {_listed(map(repr, lost))}"
        elif was is None and now is not None and self.is_sent:
            yield f"{where} takes only {_listed(map(repr, now))}"
        elif was is not None and now is None and not self.is_sent:
            yield f"{where} may now have any value"

    def _members(self, before: Schema, after: Schema, where: str) -> Iterator[str]:
        was, now = before.get("properties", {}), after.get("properties", {})
        required_before, required = set(before.get("required", ())), set(after.get("required", ()))
        for name in was.keys() - now.keys():
            if not self.is_sent or after.get("additionalProperties") is False:
                yield f"{where}/{name} was removed"
        stricter = required - required_before if self.is_sent else (required_before - required) & now.keys()
        for name in sorted(stricter):
            yield f"{where}/{name} is {'required' if self.is_sent else 'no longer always there'}"
        if self.is_sent and after.get("additionalProperties") is False is not before.get("additionalProperties"):
            yield f"{where} no longer takes other members"
        for name in sorted(was.keys() & now.keys()):
            yield from self.changes(was[name], now[name], f"{where}/{name}")


def resolved(document: Schema, part: Schema) -> Schema:
    """Follow a reference, and merge what has to hold at once."""
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = {**found, **{key: value for key, value in part.items() if key != "$ref"}}
    if "allOf" not in part:
        return part
    merged: dict[str, Any] = {key: value for key, value in part.items() if key != "allOf"}
    for one in part["allOf"]:
        for key, value in resolved(document, one).items():
            known = merged.get(key)
            merged[key] = _merged(known, value) if key == "properties" and known is not None else value
    return merged


def _merged(one: Schema, other: Schema) -> Schema:
    return {name: {**one.get(name, {}), **other.get(name, {})} for name in {**one, **other}}


def _choices(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf") or schema.get("oneOf") or [schema])


def _may_be(schema: Schema, kind: str) -> bool:
    return kind in (_types(schema) or {kind})


def _types(schema: Schema) -> frozenset[str]:
    given = schema.get("type", ())
    types = {given} if isinstance(given, str) else set(given)
    return frozenset(types | ({"integer"} if "number" in types else set()))


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _bounds(before: Schema, after: Schema, where: str) -> Iterator[str]:
    for bound, lowest in _LOWEST.items():
        if after.get(bound, lowest) > before.get(bound, lowest):
            yield f"{where} has a higher {bound}: {after[bound]}"
    for bound in _HIGHEST:
        if bound in after and after[bound] < before.get(bound, math.inf):
            yield f"{where} has a lower {bound}: {after[bound]}"
    for form in _FORMS:
        if form in after and after[form] != before.get(form):
            yield f"{where} has another {form}: {after[form]}"


def _named(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    return repr(schema["const"]) if "const" in schema else _listed(_types(schema)) or "another form"


def _listed(names: Any) -> str:
    return ", ".join(sorted(map(str, names)))
