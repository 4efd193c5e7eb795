"""Schemas of the models: one component for each, so that the same model is described once."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from moneyflow.platform.samples import sample

Mode = Literal["validation", "serialization"]
_REFERENCE = "#/components/schemas/{model}"


class _Schemas(GenerateJsonSchema):
    """Without a title for each field, which would repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the library's own signature
        return False


class Schemas:
    """The schemas of types: models of bodies by what they take, those of answers by what they write."""

    def __init__(self, types: Mapping[str, tuple[Any, Mode]]) -> None:
        adapters: list[tuple[str, Mode, TypeAdapter[Any]]] = [
            (name, mode, TypeAdapter(type_)) for name, (type_, mode) in types.items()
        ]
        found, definitions = TypeAdapter.json_schemas(adapters, ref_template=_REFERENCE, schema_generator=_Schemas)
        self._found = {name: schema for (name, _), schema in found.items()}
        self.components: dict[str, Any] = definitions.get("$defs", {})

    def of(self, name: str) -> dict[str, Any]:
        """Return the schema of a type by the name that it was given: for a model, the reference to its component."""
        return dict(self._found[name])

    def example(self, name: str) -> Any:
        """Return a value that fits the schema."""
        return sample(self.of(name), self.components)
