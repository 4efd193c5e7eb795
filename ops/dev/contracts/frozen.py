"""Frozen schemas: one file for each kind and version in `tests/contracts/`; what was stored under it stays readable.

Workers and consumers of two versions run at the same time while one is deployed, and jobs wait for weeks. So the fields
of a version never change once it was deployed: another set of fields is another version. Each file has an example that
the code must read and upgrade; where the sample that `freeze` makes says too little, write a better one into it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from moneyflow.platform.errors import UnreadableError
from moneyflow.platform.events.contract import Event
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.samples import sample

#: Where the files are in a checkout.
FOLDER = Path("tests/contracts")

#: Words of a schema that decide on no value.
_COMMENTS = frozenset({"title", "description", "default", "examples"})
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE

Contract = type[Job] | type[Event]
Schema = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """A difference between the code and a frozen schema, and what to do."""

    contract: str
    problem: str
    action: str

    def __str__(self) -> str:
        return f"{self.contract}: {self.problem}. {self.action}"


def path_of(contract: Contract) -> Path:
    """Return where the schema of the contract's version is frozen, such as `tests/contracts/jobs/send_email.1.json`."""
    return FOLDER / _folder(contract) / f"{contract.payload_name}.{contract.version}.json"


def schema_of(contract: Contract) -> Schema:
    """Return the JSON Schema of what the contract stores, without texts that decide on no value."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_bare(contract.stored_schema())}


def freeze(root: Path, contracts: Iterable[Contract], *, overwrite: bool = False) -> list[Path]:
    """Write the schemas that are not frozen yet, and with `overwrite` those that differ; return the written files."""
    written = []
    for contract in contracts:
        file = root / path_of(contract)
        if file.exists() and (not overwrite or _bare(_read(file)) == schema_of(contract)):
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(orjson.dumps({**schema_of(contract), **_example(contract)}, option=_OPTIONS))
        written.append(path_of(contract))
    return written


def check(root: Path, contracts: Sequence[Contract]) -> list[Problem]:
    """Compare the contracts of the code with the frozen schemas."""
    problems = [problem for contract in contracts for problem in _check(root, contract)]
    declared = {(_folder(contract), contract.payload_name): contract for contract in contracts}
    for file in sorted((root / FOLDER).glob("*/*.json")):
        name, _, version = file.stem.rpartition(".")
        found = declared.get((file.parent.name, name))
        if found is None or int(version) > found.version:
            problems.append(_without_code(file.relative_to(root), name, version))
        elif int(version) < found.version or _bare(_read(file)) == schema_of(found):
            problems += _check_examples(file, found, int(version))
    return problems


def _example(contract: Contract) -> Schema:
    """Return an example of the contract's version, where a sample fits it."""
    made = sample(schema_of(contract))
    try:
        _reads(contract, made, contract.version)
    except UnreadableError:
        return {}
    return {"examples": [made]}


def _check_examples(file: Path, contract: Contract, version: int) -> Iterator[Problem]:
    for example in _read(file).get("examples", ()):
        try:
            _reads(contract, example, version)
        except UnreadableError as error:
            yield Problem(
                contract.payload_name,
                f"version {version} could not be read any more: {error.detail.partition('; deploy')[0]}",
                f"Mend its upgrade or its validators, so that the example in {FOLDER / file.parent.name / file.name} "
                "is read; where the example is not realistic, write a better one",
            )


def _reads(contract: Contract, example: Schema, version: int) -> None:
    contract.from_payload(example, version, **({"sequence": 1} if issubclass(contract, Event) else {}))


def _check(root: Path, contract: Contract) -> Iterator[Problem]:
    name, version, file = contract.payload_name, contract.version, root / path_of(contract)
    if not file.exists():
        yield Problem(name, f"version {version} is not frozen", "Run `moneyflow contracts freeze`, and commit its file")
        return
    frozen, current = _bare(_read(file)), schema_of(contract)
    if frozen != current:
        yield Problem(
            name,
            f"version {version} has changed: {'; '.join(_differences(frozen, current))}",
            f"What is stored as version {version}, and processes that know no other, cannot follow: declare "
            f"version={version + 1} with upgrades={{{', '.join(f'{n}: …' for n in range(1, version + 1))}}}, then run "
            f"`moneyflow contracts freeze`. Where version {version} was never deployed, run "
            f"`moneyflow contracts freeze --overwrite {name}`",
        )


def _without_code(file: Path, name: str, version: str) -> Problem:
    return Problem(
        name,
        f"version {version} is frozen, and the code does not declare it",
        f"What is stored as version {version} could not be read: declare it again, or delete {file} once nothing of "
        "it is stored any more",
    )


def _differences(frozen: Schema, current: Schema) -> Iterator[str]:
    """Describe the differences, by fields where they are in fields."""
    before, after = frozen.get("properties", {}), current.get("properties", {})
    for field in sorted(after.keys() - before.keys()):
        yield f"`{field}` was added"
    for field in sorted(before.keys() - after.keys()):
        yield f"`{field}` was removed"
    changed = [field for field in sorted(before.keys() & after.keys()) if before[field] != after[field]]
    yield from (f"`{field}` has another type" for field in changed)
    if before == after:
        yield "a nested type"


def _folder(contract: Contract) -> str:
    return "jobs" if issubclass(contract, Job) else "events"


def _read(file: Path) -> Any:
    return orjson.loads(file.read_bytes())


def _bare(schema: Any) -> Any:
    """Return a schema without comments; the names of fields are no comments, whatever they are."""
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: _bare(value) for key, value in schema.items() if key not in _COMMENTS and key not in {"enum", "const"}}
    kept |= {key: schema[key] for key in ("enum", "const") if key in schema}
    for holder in ("properties", "$defs"):
        if holder in schema:
            kept[holder] = {name: _bare(part) for name, part in schema[holder].items()}
    if "required" in schema:
        kept["required"] = sorted(schema["required"])
    return kept
