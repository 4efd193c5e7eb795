"""Samples of events: one pinned envelope for each type and version, next to the frozen schemas.

A sample is what a producer of that version sent, attribute by attribute. It is written once and never changes; the code
of today must read it, and upgrade it. Where the one that `freeze` makes says too little, write a better one.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from moneyflow.platform.errors import MoneyFlowError
from moneyflow.platform.events import envelope
from moneyflow.platform.events.contract import Event
from moneyflow.platform.samples import sample

Schema = Mapping[str, Any]

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
_SAMPLES = "samples"
#: The attributes of a sample that freeze makes.
_ATTRIBUTES = {
    "specversion": "1.0",
    "id": "0198f0a2-7c1e-7d3a-9b55-0c6a1f0e7d11",
    "source": "/money-flow/api",
    "time": "2026-01-02T03:04:05.678901Z",
    "datacontenttype": "application/json",
    "sequence": "1",
    "correlationid": "checkout-1f6d",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}


def path_of(schema: Path) -> Path:
    """Return where the sample of a frozen schema is."""
    return schema.parent / _SAMPLES / schema.name


def write(schema: Path, contract: type[Event], version: int, *, overwrite: bool) -> bool:
    """Write the sample of a frozen schema where there is none, or again; return whether it was written.

    No sample is made that the code cannot read: its author has to write one.
    """
    file, made = path_of(schema), _made(contract, version, _read(schema))
    if (file.exists() and not overwrite) or any(_problems(contract, version, _read(schema), made)):
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(made)
    return True


def problems(schema: Path, contract: type[Event], version: int) -> Iterator[str]:
    """Yield what is wrong with the sample of a frozen schema."""
    file = path_of(schema)
    if not file.exists():
        yield "there is no sample of it"
        return
    yield from _problems(contract, version, _read(schema), file.read_bytes())


def strays(folder: Path) -> Sequence[Path]:
    """Return samples without a frozen schema."""
    return [file for file in sorted((folder / _SAMPLES).glob("*.json")) if not (folder / file.name).exists()]


def _problems(contract: type[Event], version: int, schema: Schema, written: bytes) -> Iterator[str]:
    try:
        received = envelope.read(written)
        event = contract.from_envelope(received)
    except MoneyFlowError as error:
        yield f"its sample could not be read any more: {error.detail.partition('; deploy')[0]}"
        return
    if (received.type, received.version) != (contract.type, version):
        yield f"its sample is one of {received.type}, version {received.version}"
    if str(getattr(event, contract.subject_field)) != received.subject:
        yield f"the subject of its sample is not its {contract.subject_field}"
    for misfit in Draft202012Validator(schema).iter_errors(received.data):
        yield f"its sample does not fit the frozen schema: {misfit.json_path}: {misfit.message}"


def _made(contract: type[Event], version: int, schema: Schema) -> bytes:
    data = sample(schema)
    found = {
        "type": contract.type,
        "subject": str(data.get(contract.subject_field, "")),
        "dataschema": f"/schemas/{contract.type}/{version}",
        "data": data,
    }
    return orjson.dumps({**_ATTRIBUTES, **found}, option=_OPTIONS)


def _read(file: Path) -> Schema:
    schema: Schema = orjson.loads(file.read_bytes())
    return schema
