"""Round trip: whether a pydantic model comes back from JSON as it was given.

Most types do by themselves. `inspect` refuses, where a contract is declared, types of which no value does, and says
whether values have to be tried, as `Payload` does. A contract of plain types alone costs nothing when it is written.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

#: Types whose every value comes back, by their names in pydantic's core schema, each with its form in JSON.
_PLAIN = {
    "none": "null", "bool": "true", "int": "number", "float": "number", "str": "text", "decimal": "text",
    "uuid": "text", "date": "text", "time": "text", "datetime": "text", "timedelta": "text", "literal": "text",
    "enum": "text", "list": "array", "set": "array", "frozenset": "array", "tuple": "array", "dict": "object",
}  # fmt: skip
#: Types that JSON has itself: being strict about them refuses nothing that was written.
_NATIVE = frozenset({"none", "bool", "int", "float", "str", "literal", "list", "dict"})
#: Types of keys that are read from the text that JSON makes of them, and types of which JSON makes no text.
_PLAIN_KEYS = frozenset({"str", "int", "uuid", "date", "datetime", "enum", "literal"})
_NO_KEYS = frozenset({"none", "bool", "float", "nullable", "model", "dataclass", "dict"}) | {
    kind for kind, form in _PLAIN.items() if form == "array"
}
_NO_JSON = {
    "bytes": "JSON has no bytes; use pydantic's Base64Bytes, or the id of a file",
    "callable": "JSON has no functions; use a name",
    "generator": "an iterator is read once; use a list",
    "is-instance": "JSON has no form for this type; use fields of plain types, or an id",
    "is-subclass": "JSON has no classes; use a name",
}
_SECRETS = (SecretStr, SecretBytes, Secret)
_FIELDS = frozenset({"model-field", "typed-dict-field", "dataclass-field"})

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class _Finding:
    """What the walk found in a field; without a problem its values have to be tried."""

    path: str
    problem: str | None = None


def inspect(model: type[BaseModel], *, outside: frozenset[str] = frozenset()) -> bool:
    """Return whether every value of the model comes back from JSON; the fields `outside` are not part of it.

    Raises:
        TypeError: no value of a field does; the text names each such field, and says what to do.
    """
    findings = list(_Walk().contract(model, outside))
    problems = [f"{finding.path}: {finding.problem}" for finding in findings if finding.problem is not None]
    if problems:
        raise TypeError(f"{model.__name__} does not come back from JSON as it was given: {'; '.join(problems)}")
    return not findings


class _Walk:
    """One walk over a model's core schema, which pydantic validates and serializes by."""

    def __init__(self) -> None:
        self._definitions: dict[str, Schema] = {}
        self._visited: set[str] = set()

    def contract(self, model: type[BaseModel], outside: frozenset[str]) -> Iterator[_Finding]:
        """Walk the contract's own fields; anything around them, such as a validator of the model, has to be tried."""
        schema: Schema = model.__pydantic_core_schema__
        while schema["type"] != "model":
            if schema["type"] == "definitions":
                self._define(schema)
            elif schema["type"] == "definition-ref":
                schema = self._definitions[schema["schema_ref"]]
                continue
            else:
                yield _Finding(model.__name__)
            schema = schema["schema"]
        config = schema.get("config", {})
        if "serialization" in schema or "post_init" in schema or config.get("extra_fields_behavior") == "allow":
            yield _Finding(model.__name__)
        yield from self._model(schema, "", outside)

    def _define(self, schema: Schema) -> None:
        self._definitions |= {definition["ref"]: definition for definition in schema["definitions"]}

    def _model(self, schema: Schema, path: str, outside: frozenset[str] = frozenset()) -> Iterator[_Finding]:
        config = schema.get("config", {})
        fields = schema["schema"]
        if fields["type"] not in {"model-fields", "dataclass-args"}:
            yield _Finding(path or schema["cls"].__name__)
            yield from self._node(fields, path, config)  # A root model, or a validator around the fields.
            return
        for computed in fields.get("computed_fields") or ():
            yield _Finding(
                _join(path, computed["property_name"]),
                "a computed field is stored, and none takes it back; use a property",
            )
        yield from self._fields(_named(fields["fields"]), path, config, outside)

    def _fields(
        self, fields: Mapping[str, Schema], path: str, config: Schema, outside: frozenset[str] = frozenset()
    ) -> Iterator[_Finding]:
        for name, field in fields.items():
            if name in outside:
                continue
            where = _join(path, name)
            if field.get("serialization_exclude") or "serialization_exclude_if" in field:
                yield _Finding(where, "exclude leaves it out of what is stored; remove the option or the field")
            if {field.get("validation_alias", name), field.get("serialization_alias", name)} != {name}:
                yield _Finding(where, "it is stored under its name and read under its alias; remove the alias")
            yield from self._node(field["schema"], where, config)

    def _node(self, schema: Schema, path: str, config: Schema) -> Iterator[_Finding]:
        """Walk one type of the schema."""
        kind = schema["type"]
        if kind in _NO_JSON:
            yield _Finding(path, _NO_JSON[kind])
        elif "serialization" in schema or kind not in _PLAIN:
            yield from self._other(schema, path, config)
        elif schema.get("strict", config.get("strict")) and kind not in _NATIVE:
            yield _Finding(path, f"a strict {kind} does not take the text that JSON has for it; remove strict")
        else:
            yield from self._plain(schema, path, config)

    def _plain(self, schema: Schema, path: str, config: Schema) -> Iterator[_Finding]:
        kind = schema["type"]
        if kind == "float" and schema.get("allow_inf_nan", config.get("allow_inf_nan", True)):
            yield _Finding(path)
        if kind == "decimal" and schema.get("allow_inf_nan", config.get("allow_inf_nan", False)):
            yield _Finding(path)
        if not all(value is None or type(value) in {str, int, bool} for value in _values(schema)):
            yield _Finding(path)
        if _PLAIN[kind] == "object":
            yield from self._key(schema.get("keys_schema", {"type": "any"}), path)
            yield from self._node(schema.get("values_schema", {"type": "any"}), f"{path}.*", config)
        if _PLAIN[kind] == "array":
            items = schema.get("items_schema", {"type": "any"})
            for item in items if isinstance(items, list) else [items]:
                yield from self._node(item, f"{path}.*", config)

    def _key(self, key: Schema, path: str) -> Iterator[_Finding]:
        kind = self._resolved(key)["type"]
        if kind in _NO_KEYS or kind in _NO_JSON:
            yield _Finding(path, f"JSON has text keys, and a {kind} is not read from one; use str keys, or a list")
        elif kind not in _PLAIN_KEYS or "serialization" in key:
            yield _Finding(path)

    def _other(self, schema: Schema, path: str, config: Schema) -> Iterator[_Finding]:
        """Walk what is no plain type: what wraps one, a model, a union, or what only a value shows."""
        kind = schema["type"]
        if "serialization" in schema:
            yield from _opaque(schema, path)
        elif kind in {"nullable", "default"}:
            yield from self._node(schema["schema"], path, config)
        elif kind == "definitions":
            self._define(schema)
            yield from self._node(schema["schema"], path, config)
        elif kind == "definition-ref":
            yield from self._referred(schema["schema_ref"], path, config)
        elif kind in {"union", "tagged-union"}:
            yield from self._union(schema, path, config)
        elif kind in {"model", "dataclass"}:
            yield from self._nested(schema, path, config)
        elif kind == "typed-dict":
            yield from self._fields(schema["fields"], path, config)
        elif kind.startswith("function-") and "schema" in schema:
            yield _Finding(path)  # A validator may change what it is given once more.
            yield from self._node(schema["schema"], path, config)
        else:
            yield from _opaque(schema, path)

    def _nested(self, schema: Schema, path: str, config: Schema) -> Iterator[_Finding]:
        """Walk a nested model; it has to be tried, as an instance of a subclass loses its own fields."""
        yield _Finding(path)
        if schema.get("strict", schema.get("config", config).get("strict")):
            yield _Finding(path, "a strict model does not take the object that JSON has for it; remove strict")
        if schema.get("ref") not in self._visited:
            self._visited.add(schema.get("ref", ""))
            yield from self._model(schema, path)

    def _referred(self, ref: str, path: str, config: Schema) -> Iterator[_Finding]:
        if ref in self._visited:
            yield _Finding(path)
        elif ref in self._definitions:
            self._visited.add(ref)
            yield from self._node({**self._definitions[ref], "ref": ""}, path, config)

    def _resolved(self, schema: Schema) -> Schema:
        return self._definitions[schema["schema_ref"]] if schema["type"] == "definition-ref" else schema

    def _union(self, schema: Schema, path: str, config: Schema) -> Iterator[_Finding]:
        """Walk a union; one whose types share a form in JSON, such as `UUID | str`, has to be tried."""
        is_tagged = isinstance(schema["choices"], Mapping)
        choices = schema["choices"].values() if is_tagged else schema["choices"]
        nodes = [self._resolved(choice[0] if isinstance(choice, tuple) else choice) for choice in choices]
        forms = [_PLAIN.get(node["type"]) if all(type(v) is str for v in _values(node)) else None for node in nodes]
        if not is_tagged and (None in forms or len(set(forms)) < len(forms)):
            yield _Finding(path)
        for node in nodes:
            yield from self._node(node, path, config)


def _values(schema: Schema) -> list[Any]:
    """Return the values of a literal or an enum."""
    return list(schema.get("expected", [member.value for member in schema.get("members", ())]))


def _opaque(schema: Schema, path: str) -> Iterator[_Finding]:
    """A type with its own way to JSON, which only a value shows; a secret's way is asterisks."""
    if any(issubclass(one, _SECRETS) for one in _classes(schema)):
        yield _Finding(path, "a secret is stored as asterisks; use an id by which the handler reads the secret")
    else:
        yield _Finding(path)


def _classes(schema: Any) -> Iterator[type]:
    """Return the classes whose instances a schema takes, at any depth."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "is-instance" and isinstance(schema["cls"], type):
            yield schema["cls"]
        for value in schema.values():
            yield from _classes(value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            yield from _classes(value)


def _named(fields: Mapping[str, Schema] | Iterable[Schema]) -> Mapping[str, Schema]:
    """Return fields by name; those of a dataclass are a list."""
    return fields if isinstance(fields, Mapping) else {field["name"]: field for field in fields}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
