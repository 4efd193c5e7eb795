"""Frozen schemas: one file for each kind and version in `tests/contracts/`; what was stored under it stays readable.

Workers and consumers of two versions run at the same time while one is deployed, and jobs wait for weeks. So the fields
of a version never change once it was deployed: another set of fields is another version. Each file of a job has an
example, and each file of an event a sample next to it (`samples.py`), that the code must read and upgrade; where the
one that `freeze` makes says too little, write a better one.
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
from ops.dev.contracts import earlier, samples

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
    """Write the schemas that are not frozen yet, and with `overwrite` those that differ; return the written files.

    With them go the samples of events, and the copies of earlier schemas that the API serves.
    """
    return [path for contract in contracts for path in _freeze(root, contract, overwrite=overwrite)]


def _freeze(root: Path, contract: Contract, *, overwrite: bool) -> Iterator[Path]:
    path = path_of(contract)
    is_new = not (root / path).exists() or (overwrite and _bare(_read(root / path)) != schema_of(contract))
    if is_new:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        content = {**schema_of(contract), **(_example(contract) if issubclass(contract, Job) else {})}
        (root / path).write_bytes(orjson.dumps(content, option=_OPTIONS))
        yield path
    for version, frozen in _frozen_versions(root, contract):
        is_current = version == contract.version
        if issubclass(contract, Event) and samples.write(
            root / frozen, contract, version, overwrite=is_new and is_current
        ):
            yield samples.path_of(frozen)
        if not is_current and earlier.write(root, frozen):
            yield earlier.path_of(frozen)


def _frozen_versions(root: Path, contract: Contract) -> Iterator[tuple[int, Path]]:
    """Yield each version that the code reads and whose schema is frozen, with its file."""
    for version in (*contract.upgrades, contract.version):
        path = path_of(contract).with_name(f"{contract.payload_name}.{version}.json")
        if (root / path).exists():
            yield version, path


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
            problems += _check_version(root, file.relative_to(root), found, int(version))
    return [*problems, *_strays(root)]


def _example(contract: Contract) -> Schema:
    """Return an example of the contract's version, where a sample fits it."""
    made = sample(schema_of(contract))
    try:
        _reads(contract, made, contract.version)
    except UnreadableError:
        return {}
    return {"examples": [made]}


def _check_version(root: Path, path: Path, contract: Contract, version: int) -> Iterator[Problem]:
    """Check that a frozen version is read by the code, and served by the API."""
    found: Iterable[str] = _unread_examples(root / path, contract, version)
    place = path
    if issubclass(contract, Event):
        found, place = samples.problems(root / path, contract, version), samples.path_of(path)
    for problem in found:
        yield Problem(
            contract.payload_name,
            f"version {version}: {problem}",
            f"Mend its upgrade or its validators, so that the example in {place} is read; where there is none, run "
            "`moneyflow contracts freeze`, and where it is not realistic, write a better one",
        )
    if version < contract.version and not earlier.is_copied(root, path):
        yield Problem(
            contract.payload_name,
            f"the API does not serve the schema of version {version}",
            f"Run `moneyflow contracts freeze`, and commit {earlier.path_of(path)}",
        )


def _unread_examples(file: Path, contract: Contract, version: int) -> Iterator[str]:
    for example in _read(file).get("examples", ()):
        try:
            _reads(contract, example, version)
        except UnreadableError as error:
            yield f"its example could not be read any more: {error.detail.partition('; deploy')[0]}"


def _strays(root: Path) -> Iterator[Problem]:
    files = [file.relative_to(root) for file in samples.strays(root / FOLDER / "events")]
    for file in [*files, *earlier.strays(root, "events"), *earlier.strays(root, "jobs")]:
        yield Problem(file.stem, "there is no frozen schema of it", f"Delete {file}")


def _reads(contract: Contract, example: Schema, version: int) -> None:
    contract.from_payload(example, version)


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
