"""Samples: a value that fits a JSON Schema, such as the example of a model."""

from collections.abc import Callable, Mapping
from typing import Any

_TEXTS = {
    "uuid": "0198f0a2-7c1e-7d3a-9b55-0c6a1f0e7d11",
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05",
    "duration": "PT1H",
    "email": "ada@mail.example",
    "uri": "https://money.example/",
}

Schema = Mapping[str, Any]


def sample(schema: Schema, definitions: Mapping[str, Schema] | None = None) -> Any:
    """Return a value for a schema of pydantic's; one whose words it does not know, such as a pattern, it may miss."""
    definitions = definitions if definitions is not None else schema.get("$defs", {})
    if "$ref" in schema:
        return sample(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    for choices in ("anyOf", "oneOf", "allOf"):
        if choices in schema:
            # A choice without a reference first: a type may refer to itself.
            return sample(min(schema[choices], key=lambda choice: "$ref" in choice), definitions)
    make = _MAKE.get(schema.get("type", ""))
    return make(schema, definitions) if make else None


def _object(schema: Schema, definitions: Mapping[str, Schema]) -> dict[str, Any]:
    return {name: sample(part, definitions) for name, part in schema.get("properties", {}).items()}


def _array(schema: Schema, definitions: Mapping[str, Schema]) -> list[Any]:
    items = schema.get("prefixItems", [schema.get("items", {})] * schema.get("minItems", 0))
    return [sample(item, definitions) for item in items]


def _number(schema: Schema, _: Mapping[str, Schema]) -> Any:
    return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)


def _text(schema: Schema, _: Mapping[str, Schema]) -> str:
    if "pattern" in schema:
        return "1"  # As of a decimal.
    text = _TEXTS.get(schema.get("format", ""), "text")
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


#: What makes a value of each type of JSON Schema.
_MAKE: dict[str, Callable[[Schema, Mapping[str, Schema]], Any]] = {
    "object": _object,
    "array": _array,
    "string": _text,
    "integer": _number,
    "number": _number,
    "boolean": lambda *_: True,
}
