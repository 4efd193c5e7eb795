"""Payloads: the base of job and event contracts; stored as JSON, and read by other versions of the code."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from moneyflow.platform import round_trip
from moneyflow.platform.errors import InvalidInputError, UnknownVersionError, UnreadableError

#: Upgrades a payload to the next version.
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


class Payload(BaseModel):
    """A versioned contract whose fields are stored as JSON and come back as they were given."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: ClassVar[int]
    #: The function that upgrades a payload to the next version, for each earlier version.
    upgrades: ClassVar[Mapping[int, Upgrade]]

    #: The contract's name in messages, such as send_email.
    payload_name: ClassVar[str]
    #: Whether its types alone guarantee the round trip; if not, each value is tried before it is stored.
    payload_is_plain: ClassVar[bool]
    #: Fields that are stored elsewhere.
    payload_outside: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def declare_payload(cls, name: str, *, version: int, upgrades: Mapping[int, Upgrade] | None) -> None:
        """Set the version of a contract that is declared.

        Raises:
            TypeError: the upgrades do not lead from each earlier version to this one, or a field cannot be stored.
        """
        upgrades = dict(upgrades or {})
        if version < 1 or sorted(upgrades) != list(range(1, version)):
            raise TypeError(
                f"{cls.__name__}: version is at least 1, and `upgrades` has a function from each earlier version to "
                f"the next: {{version: function}} for {_ranged(version)}, and not for {sorted(upgrades) or 'none'}; "
                "payloads of each version may still be stored"
            )
        cls.payload_name, cls.version, cls.upgrades = name, version, upgrades
        # NOTE: a class with a name that is declared after it is not complete yet; its values are tried.
        cls.payload_is_plain = cls.__pydantic_complete__ and round_trip.inspect(cls, outside=cls.payload_outside)

    @classmethod
    def stored_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the payload as it is stored: all its fields, those with a default too."""
        schema = cls.model_json_schema()
        for name in cls.payload_outside:
            schema["properties"].pop(name, None)
        return {**schema, "required": sorted(schema["properties"])}

    def payload(self) -> dict[str, Any]:
        """Return the fields as JSON values.

        Raises:
            InvalidInputError: a field would come back changed, or not at all; the text names it.
        """
        try:
            written = self._written()
        except ValueError as error:
            raise InvalidInputError(f"{self.payload_name} cannot be written as JSON: {self._unwritable()}") from error
        if not self.payload_is_plain:
            self._try(written)
        return written

    def _written(self, only: set[str] | None = None) -> dict[str, Any]:
        outside = set(self.payload_outside) if self.payload_outside else None
        return self.model_dump(mode="json", warnings="error", include=only, exclude=outside)

    def _unwritable(self) -> str:
        """Return the first field that cannot be written, and why. SECURITY: without its value."""
        for name in type(self).model_fields:
            try:
                self._written({name})
            except ValueError as error:
                is_other = "PydanticSerializationUnexpectedValue" in str(error)
                return f"{name}: {'its value is not of its type' if is_other else error}"
        return "its fields together"

    def _try(self, written: dict[str, Any]) -> None:
        """Read back what was written, and compare."""
        kept = {name: getattr(self, name) for name in self.payload_outside}
        try:
            read = type(self).model_validate(orjson.loads(to_json(written, of=self.payload_name)) | kept)
        except ValidationError as error:
            raise InvalidInputError(f"{self.payload_name} could not be read back: {problems(error)}") from error
        changed = "; ".join(f"{path}: {change}" for path, change in _changes(self, read, ""))
        if changed:
            raise InvalidInputError(f"{self.payload_name} would not come back as it was given: {changed}")

    @classmethod
    def reads(cls, version: int) -> bool:
        """Return whether this contract can read a payload that was stored under `version`."""
        return version == cls.version or version in cls.upgrades

    @classmethod
    def from_payload(cls, payload: dict[str, Any], version: int, **outside: Any) -> Self:
        """Read a payload that was stored under `version`, and upgrade it step by step.

        Raises:
            UnknownVersionError: this process does not know that version, or fields of it; a newer process may.
            UnreadableError: the payload does not fit the contract of this process; that of another version may fit.
        """
        if not cls.reads(version):
            raise UnknownVersionError(
                f"this process knows version {cls.version} of {cls.payload_name}, and what is stored has version "
                f"{version}: deploy a version that knows it, and it runs"
            )
        try:
            for step in range(version, cls.version):
                payload = cls.upgrades[step](payload)
        except Exception as error:
            raise UnreadableError(
                f"version {version} of {cls.payload_name} could not be upgraded to {cls.version}: {error!r}; deploy a "
                "version that upgrades it, and it runs"
            ) from error
        try:
            return cls.model_validate({**payload, **outside})
        except Exception as error:
            raise cls._unreadable(error, version) from error

    @classmethod
    def _unreadable(cls, error: Exception, version: int) -> UnreadableError:
        found = error.errors(include_input=False) if isinstance(error, ValidationError) else []
        what = problems(error) if isinstance(error, ValidationError) else repr(error)
        # Nothing but fields that are not known here: a newer version added them.
        is_newer = bool(found) and all(one["type"] == "extra_forbidden" for one in found)
        return (UnknownVersionError if is_newer else UnreadableError)(
            f"what is stored does not fit version {version} of {cls.payload_name}: {what}; deploy a version that reads "
            "it, and it runs"
        )


def problems(error: ValidationError) -> str:
    """Return what does not fit, and where, without the values."""
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))


def to_json(value: object, *, of: str) -> bytes:
    """Write JSON that Postgres stores.

    Raises:
        InvalidInputError: a value cannot be stored; the text names its place, after `of`.
    """
    try:
        written = orjson.dumps(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{of}: {_unstorable(value) or error}") from error
    if b"\\u0000" in written and (place := _unstorable(value)):
        raise InvalidInputError(f"{of}: {place}")
    return written


def _unstorable(value: object, path: str = "") -> str | None:
    """Return the first place whose value cannot be stored, and why."""
    if isinstance(value, Mapping):
        items = [(name, f"{path}.{name}" if path else str(name)) for name in value]
        found = (_unstorable(name, where) or _unstorable(value[name], where) for name, where in items)
        return next((place for place in found if place), None)
    if isinstance(value, list | tuple):
        found = (_unstorable(item, f"{path}.{number}" if path else str(number)) for number, item in enumerate(value))
        return next((place for place in found if place), None)
    if isinstance(value, str) and "\0" in value:
        return f"{path}: Postgres stores no text with the character NUL; remove it"
    try:
        orjson.dumps(value)
    except (TypeError, ValueError) as error:
        return f"{path}: {error}"
    return None


def _changes(given: Any, read: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the innermost places that differ. SECURITY: with their types, and not with their values."""
    if given == read:
        return
    if type(given) is not type(read):
        yield path, f"a {type(given).__name__} comes back as {type(read).__name__}"
        return
    before, after = _parts(given), _parts(read)
    if before.keys() != after.keys() or not before:
        yield path, f"a {type(given).__name__} comes back with another value"
        return
    inner = [change for name in before for change in _changes(before[name], after[name], f"{path}.{name}".lstrip("."))]
    yield from inner or [(path or type(given).__name__, "what is no field, such as a private attribute, is lost")]


def _parts(value: Any) -> dict[Any, Any]:
    """Return what a value consists of, by name or position."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return dict(value)
    return dict(enumerate(value)) if isinstance(value, list | tuple) else {}


def _ranged(version: int) -> str:
    return ", ".join(map(str, range(1, version))) or "none"
