"""Completeness: every job has its handler, its test and its mail, under one name everywhere."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import mail_templates
import workers.jobs  # noqa: F401 - importing it declares the handlers
from moneyflow import mails
from moneyflow.jobs import Job
from moneyflow.jobs import registry as contracts
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.jobs.schedules import registry as schedules
from workers import handlers

_TESTS = Path(__file__).parent.parent
_ROOT = _TESTS.parent
#: What runs jobs: in the test's own process, or in workers whose end of the jobs it waits for.
_RUNS_JOBS = frozenset({"run_jobs", "until_all"})
_NAMED = (ast.Name, ast.Attribute)
#: How code names a mail: `template="…"`, or as an argument of what composes or sends it.
_MAIL = re.compile(r"""template="(\w+)"|\bcompose\([^)]*?"(\w+)"|\bmailer\.send\(\s*"(\w+)\"""")


def mails_named_in_code() -> set[str]:
    """Return the names of mails that services and handlers send."""
    files = [path for folder in ("moneyflow", "workers") for path in (_ROOT / folder).rglob("*.py")]
    found = _MAIL.findall("\n".join(path.read_text(encoding="utf-8") for path in files))
    return {name for names in found for name in names if name}


def _product() -> dict[str, type[Job]]:
    """Return the jobs of the product, without those that tests declare."""
    return {kind: job for kind, job in contracts.items() if job.__module__.startswith("moneyflow.jobs.")}


def test_every_job_has_a_handler_and_every_handler_a_job() -> None:
    ours = {kind for kind, handler in handlers.registry.items() if handler.__module__.startswith("workers.jobs.")}

    for kind in _product().keys() - ours:
        pytest.fail(f"{kind} has a contract and no handler: add workers/jobs/{kind}.py")
    for kind in ours - _product().keys():
        pytest.fail(f"{kind} has a handler and no contract: add moneyflow/jobs/{kind}.py")


def test_a_jobs_kind_is_the_name_of_its_module_and_of_its_handlers() -> None:
    for kind, job in _product().items():
        assert job.__module__ == f"moneyflow.jobs.{kind}"
        assert handlers.registry[kind].__module__ == f"workers.jobs.{kind}"


def _calls(function: ast.AST) -> set[str]:
    """Return the names of all that a function calls."""
    called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {one.id if isinstance(one, ast.Name) else one.attr for one in called if isinstance(one, _NAMED)}


def test_every_job_is_made_and_run_by_a_test() -> None:
    modules = [ast.parse(path.read_text(encoding="utf-8")) for path in _TESTS.rglob("test_*.py")]
    nodes = [node for module in modules for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
    tests = [_calls(node) for node in nodes if node.name.startswith("test_")]

    for kind, job in _product().items():
        runs = any(job.__name__ in calls and calls & _RUNS_JOBS for calls in tests)
        assert runs, f"no test makes a {job.__name__} and has it run: add tests/integration/test_{kind}.py"


def test_a_job_that_a_test_only_names_does_not_count_as_run() -> None:
    names_it = ast.parse('def test_it():\n    """SendBill("""\n    run_jobs(session)')
    makes_it = ast.parse("def test_it():\n    enqueue(session, jobs.SendBill(1))\n    run_jobs(session)")

    assert _calls(names_it) == {"run_jobs"}
    assert _calls(makes_it) == {"enqueue", "SendBill", "run_jobs"}


def test_every_declared_mail_has_its_template_and_every_template_is_declared() -> None:
    for name in mails.registry.keys() - set(mail_templates.names()):
        pytest.fail(f"mail {name!r} is declared and has no template: add mail_templates/{name}.jinja")
    for name in set(mail_templates.names()) - mails.registry.keys():
        pytest.fail(f"mail_templates/{name}.jinja is not declared: add `declare(Mail({name!r}))` next to its job")


def test_every_schedule_enqueues_a_job_whose_payload_is_accepted() -> None:
    for name, schedule in schedules.items():
        try:
            schedule.job_at(datetime.now(UTC)).check_payload()
        except InvalidInputError as error:
            pytest.fail(f"schedule {name!r} would enqueue nothing at its ticks: {error}")


def test_a_second_handler_of_a_job_is_refused() -> None:
    (kind, job), *_ = _product().items()

    with pytest.raises(TypeError, match=f"{kind} has a handler already"):
        handlers.handles(job)(lambda *_: None)
