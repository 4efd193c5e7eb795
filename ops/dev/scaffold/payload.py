"""The payload of a new job or event: its fields, as `--field` gives them, and how the files name and fill them."""

import keyword
from collections.abc import Sequence
from dataclasses import dataclass

from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.payloads import Payload
from moneyflow.platform.suggestions import did_you_mean

#: The types that a field may have: the import that each needs, and a value for the test.
_TYPES = {
    "UUID": ("uuid", "UUID", "uuid4()"),
    "str": (None, None, '"text"'),
    "int": (None, None, "3"),
    "bool": (None, None, "True"),
    "Decimal": ("decimal", "Decimal", 'Decimal("12.50")'),
    "date": ("datetime", "date", "date(2026, 1, 31)"),
    "datetime": ("datetime", "datetime", "datetime(2026, 1, 31, tzinfo=UTC)"),
}
#: What the values of a test need besides their types.
_VALUES = {"UUID": [("uuid", "uuid4")], "datetime": [("datetime", "datetime"), ("datetime", "UTC")]}
_LONGEST_FIELD, _LONGEST_LINE = 40, 120


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of the payload; one that is not required is None by default."""

    name: str
    type: str
    required: bool = True

    @property
    def declared(self) -> str:
        """The line that declares it."""
        return f"    {self.name}: {self.type}" if self.required else f"    {self.name}: {self.type} | None = None"

    @property
    def value(self) -> str:
        """A value for the test."""
        return _TYPES[self.type][2]


USER = Field(name="user_id", type="UUID")


def field_of(text: str, *, contract: type[Payload] = Job) -> Field:
    """Read a field such as `amount:Decimal`, or `note:str?` for one that may be left out.

    `contract` is the base of the contract that has it.

    Raises:
        InvalidInputError: it is not of that form, or its name or type cannot be used.
    """
    name, colon, given = text.partition(":")
    type_name = given.removesuffix("?")
    if not colon or not name.isidentifier() or name != name.lower() or len(name) > _LONGEST_FIELD:
        raise InvalidInputError(f"--field {text}: give NAME:TYPE such as amount:Decimal, or note:str? to leave it out")
    if type_name not in _TYPES:
        hint = did_you_mean(type_name, _TYPES, otherwise=f"there are {', '.join(_TYPES)}")
        raise InvalidInputError(f"--field {text}: there is no type {type_name!r}; {hint}")
    known = {*dir(contract), *contract.__annotations__}
    if keyword.iskeyword(name) or name in _TYPES or name.startswith("_") or name in known:
        raise InvalidInputError(f"--field {text}: {name!r} has another meaning in a contract; choose another name")
    return Field(name=name, type=type_name, required=not given.endswith("?"))


def fields_of(given: Sequence[str], *, with_user: bool, contract: type[Payload] = Job) -> tuple[Field, ...]:
    """Return the fields of a payload, that of the user first; raises InvalidInputError."""
    fields = ([USER] if with_user else []) + [field_of(text, contract=contract) for text in given]
    names = [field.name for field in fields]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"--field: {', '.join(twice)} is given twice, or is the user's; choose another name")
    return tuple(fields)


def imports(fields: Sequence[Field], *, values: bool = False) -> str:
    """Return the imports of the fields' types or, for the test, of their values; an empty line follows any."""
    needed: dict[str, set[str]] = {}
    for field in fields:
        module, name, _ = _TYPES[field.type]
        pairs = _VALUES.get(field.type, [(module, name)]) if values else [(module, name)]
        for source, wanted in pairs:
            if source and wanted:
                needed.setdefault(source, set()).add(wanted)
    lines = [f"from {module} import {', '.join(_in_order(names))}" for module, names in sorted(needed.items())]
    return "\n".join(lines) + "\n\n" if lines else ""


def call(contract: str, fields: Sequence[Field], *, indent: int, user: str | None = None) -> str:
    """Return the call that makes a job of the contract in the test, with `user` in place of the user's value."""
    values = [f"{f.name}={user if user and f == USER else f.value}" for f in fields]
    line = f"{contract}({', '.join(values)})"
    if len(values) < 2 and indent + len("job = ") + len(line) <= _LONGEST_LINE:  # noqa: PLR2004 - one fits a line
        return line
    inner = "".join(f"{' ' * (indent + 4)}{value},\n" for value in values)
    return f"{contract}(\n{inner}{' ' * indent})"


def _in_order(names: set[str]) -> list[str]:
    """Return names as imports order them: constants, classes, functions."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
