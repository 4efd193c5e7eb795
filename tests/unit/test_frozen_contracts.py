"""Frozen contracts: the code is compared with the schema of each version that may be stored, field by field."""

import subprocess
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
import pytest
from pydantic import AfterValidator, AnyUrl, BaseModel, EmailStr, Field, create_model

from moneyflow.events import registry as events
from moneyflow.events.topics import USER_EVENTS
from moneyflow.jobs import registry as jobs
from moneyflow.platform.events.contract import Event
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.payloads import Upgrade
from ops.dev.contracts import earlier, frozen, samples
from ops.dev.contracts.frozen import Contract

pytestmark = pytest.mark.usefixtures("contracts")

_ROOT = Path(__file__).parents[2]


class Address(BaseModel):
    city: str


class Colour(StrEnum):
    RED = "red"


def _job(version: int = 1, upgrade: Upgrade = dict, **fields: Any) -> type[Job]:
    options = {"kind": "greet", "version": version, "upgrades": dict.fromkeys(range(1, version), upgrade)}
    return create_model("Greet", __base__=Job, __cls_kwargs__=options, **fields)


def _event(version: int = 1, upgrade: Upgrade = dict, **fields: Any) -> type[Event]:
    options = {
        "type": "user.greeted", "topic": USER_EVENTS, "subject": "user_id", "version": version,
        "upgrades": dict.fromkeys(range(1, version), upgrade),
    }  # fmt: skip
    return create_model("Greeted", __base__=Event, __cls_kwargs__=options, user_id=(UUID, ...), **fields)


def _files_of(contract: Contract) -> list[Path]:
    """Return what is written for the first version of a contract."""
    schema = frozen.path_of(contract)
    return [schema, samples.path_of(schema)] if issubclass(contract, Event) else [schema]


_BASES = pytest.mark.parametrize("contract", [_job, _event], ids=["job", "event"])
_NAME = (str, ...)


def _texts(root: Path, contract: Contract) -> list[str]:
    return [str(problem) for problem in frozen.check(root, [contract])]


@_BASES
def test_a_new_version_is_frozen_once_and_then_fits(tmp_path: Path, contract: Any) -> None:
    greet = contract(name=_NAME)

    (problem,) = _texts(tmp_path, greet)
    written = frozen.freeze(tmp_path, [greet])

    assert "version 1 is not frozen. Run `moneyflow contracts freeze`" in problem
    assert written == _files_of(greet)
    assert _texts(tmp_path, greet) == []
    assert frozen.freeze(tmp_path, [greet]) == []


@_BASES
@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"name": _NAME, "language": (str, ...)}, "`language` was added"),
        ({"name": _NAME, "language": (str, "de")}, "`language` was added"),
        ({"name": _NAME, "language": (str | None, None)}, "`language` was added"),
        ({}, "`name` was removed"),
        ({"title": _NAME}, "`title` was added; `name` was removed"),
        ({"name": (int, ...)}, "`name` has another type"),
        ({"name": (str | None, ...)}, "`name` has another type"),
        ({"name": (str, Field(max_length=10))}, "`name` has another type"),
        ({"name": (Address, ...)}, "`name` has another type"),
        ({"name": (Decimal, ...)}, "`name` has another type"),
    ],
    ids=str,
)
def test_a_changed_field_needs_a_new_version_and_the_check_says_how(
    tmp_path: Path, contract: Any, changed: dict[str, Any], difference: str
) -> None:
    frozen.freeze(tmp_path, [contract(name=_NAME)])

    (problem,) = _texts(tmp_path, contract(**changed))

    assert f"version 1 has changed: {difference}" in problem
    assert "declare version=2 with upgrades={1: …}, then run `moneyflow contracts freeze`" in problem
    assert "Where version 1 was never deployed, run `moneyflow contracts freeze --overwrite " in problem
    assert frozen.freeze(tmp_path, [contract(**changed)]) == []
    frozen.freeze(tmp_path, [contract(2, **changed)])
    assert [text for text in _texts(tmp_path, contract(2, **changed)) if "version 2" in text] == []


@_BASES
def test_a_version_that_was_never_deployed_is_frozen_again_on_demand(tmp_path: Path, contract: Any) -> None:
    frozen.freeze(tmp_path, [contract(name=_NAME)])
    changed = contract(title=_NAME)

    assert frozen.freeze(tmp_path, [changed], overwrite=True) == _files_of(changed)
    assert frozen.freeze(tmp_path, [changed], overwrite=True) == []
    assert _texts(tmp_path, changed) == []


@_BASES
def test_an_upgrade_that_leads_to_no_readable_payload_is_a_problem(tmp_path: Path, contract: Any) -> None:
    frozen.freeze(tmp_path, [contract(name=_NAME)])
    changed = {"name": _NAME, "language": (str, ...)}
    good = contract(2, upgrade=lambda data: {**data, "language": "de"}, **changed)
    frozen.freeze(tmp_path, [good])

    assert _texts(tmp_path, good) == []
    for bad in (dict, lambda data: {"nickname": data["nickname"]}):
        (problem,) = _texts(tmp_path, contract(2, upgrade=bad, **changed))
        assert "version 1: its " in problem
        assert "could not be read any more: " in problem
        assert "Mend its upgrade or its validators, so that the example in tests/contracts/" in problem


def test_a_validator_that_refuses_what_is_stored_is_a_problem_and_the_example_is_the_authors(tmp_path: Path) -> None:
    def known(name: str) -> str:
        if name != "Ada":
            raise ValueError("is not known")
        return name

    frozen.freeze(tmp_path, [_job(name=_NAME)])
    tightened = _job(name=(Annotated[str, AfterValidator(known)], ...))
    file = tmp_path / frozen.path_of(tightened)

    (problem,) = _texts(tmp_path, tightened)
    file.write_bytes(file.read_bytes().replace(b'"name": "text"', b'"name": "Ada"'))

    assert "its example could not be read any more: what is stored does not fit version 1 of greet: name: " in problem
    assert _texts(tmp_path, tightened) == []


class Node(BaseModel):
    parent: "Node | None"


@pytest.mark.parametrize(
    "field",
    [
        str, int, float, bool, UUID, datetime, date, time, timedelta, Decimal, list[int], set[str], tuple[int, str],
        dict[str, int], Address, list[Address], Node, str | None, int | str, Literal["a", "b"], Colour,
        Annotated[str, Field(min_length=10)], Annotated[str, Field(max_length=2)], Annotated[int, Field(ge=7)],
        Annotated[int, Field(gt=7)], Annotated[list[int], Field(min_length=2)], EmailStr, AnyUrl, Any,
    ],
    ids=str,
)  # fmt: skip
def test_a_frozen_version_has_an_example_of_each_field(tmp_path: Path, field: Any) -> None:
    greet = _job(value=(field, ...))
    frozen.freeze(tmp_path, [greet])

    (example,) = orjson.loads((tmp_path / frozen.path_of(greet)).read_bytes())["examples"]

    assert example.keys() == {"value"}
    assert greet.from_payload(example, 1)


def test_a_nested_type_is_part_of_the_contract(tmp_path: Path) -> None:
    frozen.freeze(tmp_path, [_job(home=(Address, ...))])
    moved = create_model("Address", city=(str, ...), street=(str, ""))

    (problem,) = _texts(tmp_path, _job(home=(moved, ...)))

    assert "version 1 has changed: a nested type" in problem


@_BASES
def test_texts_the_order_of_fields_and_defaults_decide_on_no_value(tmp_path: Path, contract: Any) -> None:
    frozen.freeze(tmp_path, [contract(name=_NAME, title=(str, "Dr"))])
    same = contract(title=(str, Field(default="Prof", description="a title")), name=(str, Field(default="Ada")))

    assert _texts(tmp_path, same) == []


@_BASES
def test_a_frozen_version_that_the_code_no_longer_declares_is_a_problem(tmp_path: Path, contract: Any) -> None:
    frozen.freeze(tmp_path, [contract(2, name=_NAME), contract(name=_NAME)])

    (lowered,) = _texts(tmp_path, contract(name=_NAME))
    removed = [str(problem) for problem in frozen.check(tmp_path, [])]

    assert "version 2 is frozen, and the code does not declare it. " in lowered
    assert [text.count("delete tests/contracts/") for text in removed] == [1, 1]


def test_the_files_are_json_schemas_of_what_is_stored(tmp_path: Path) -> None:
    greet = _event(name=_NAME)
    frozen.freeze(tmp_path, [greet])

    schema = orjson.loads((tmp_path / "tests/contracts/events/user.greeted.1.json").read_bytes())

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["name", "user_id"]
    assert schema["properties"].keys() == {"name", "user_id"}


def _sample(root: Path, contract: Contract) -> tuple[Path, dict[str, Any]]:
    file = root / samples.path_of(frozen.path_of(contract))
    return file, orjson.loads(file.read_bytes())


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"subject": "another"}, "the subject of its sample is not its user_id"),
        ({"type": "user.created"}, "its sample could not be read any more: "),
        (
            {"dataschema": "/schemas/user.greeted/2"},
            "its sample could not be read any more: this process knows version 1",
        ),
        ({"data": {"user_id": "7"}}, "its sample could not be read any more: "),
        ({"sequence": "0"}, "its sample could not be read any more: "),
    ],
    ids=str,
)
def test_a_sample_that_is_not_what_a_producer_of_its_version_sent_is_a_problem(
    tmp_path: Path, changed: dict[str, Any], problem: str
) -> None:
    greet = _event(name=_NAME)
    frozen.freeze(tmp_path, [greet])
    file, content = _sample(tmp_path, greet)

    file.write_bytes(orjson.dumps({**content, **changed}))

    (found,) = _texts(tmp_path, greet)
    assert problem in found


def test_a_sample_is_pinned_and_one_that_is_missing_or_of_nothing_is_a_problem(tmp_path: Path) -> None:
    greet = _event(name=_NAME)
    frozen.freeze(tmp_path, [greet])
    file, content = _sample(tmp_path, greet)
    file.write_bytes(orjson.dumps({**content, "id": "mine"}))
    written = frozen.freeze(tmp_path, [greet])
    kept = _sample(tmp_path, greet)[1]["id"]
    file.rename(file.with_name("user.forgotten.1.json"))

    problems = _texts(tmp_path, greet)

    assert (written, kept) == ([], "mine")
    assert ["there is no sample of it" in problems[0], "there is no frozen schema of it" in problems[1]] == [True, True]


@_BASES
def test_the_schema_of_an_earlier_version_is_kept_where_the_api_serves_it(tmp_path: Path, contract: Any) -> None:
    first, second = contract(name=_NAME), contract(2, name=_NAME, language=(str, "de"))
    frozen.freeze(tmp_path, [first])
    copy = earlier.path_of(frozen.path_of(first))

    written = frozen.freeze(tmp_path, [second])

    assert copy in written
    assert orjson.loads((tmp_path / copy).read_bytes())["properties"].keys() >= {"name"}
    assert _texts(tmp_path, second) == []
    (tmp_path / copy).unlink()
    (problem,) = _texts(tmp_path, second)
    assert "the API does not serve the schema of version 1. Run `moneyflow contracts freeze`" in problem


def test_every_job_and_event_of_the_product_is_frozen() -> None:
    contracts: list[Contract] = [*jobs.values(), *events.values()]
    product = [one for one in contracts if one.__module__.startswith("moneyflow.")]

    for contract in product:
        assert (_ROOT / frozen.path_of(contract)).is_file(), "run `moneyflow contracts freeze`"


def test_the_command_compares_this_checkout_and_make_check_runs_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", "contracts", "check", "--json"],
        cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, orjson.loads(done.stdout)) == (0, {"problems": [], "notices": []}), done.stderr
    check = (_ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck: ")[2].partition("\n\n")[0]
    assert "-m ops.cli contracts check" in check
