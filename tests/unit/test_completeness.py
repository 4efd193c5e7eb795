"""Nothing is half added: every job has its handler and its test, under one name everywhere."""

from pathlib import Path

import pytest

import workers.jobs  # noqa: F401 - importing it declares the handlers
from moneyflow.jobs import Job
from moneyflow.jobs import registry as contracts
from workers import handlers

_TESTS = Path(__file__).parent.parent


def _product() -> dict[str, type[Job]]:
    """Return the jobs of the product, without those that tests declare."""
    return {kind: job for kind, job in contracts.items() if job.__module__.startswith("moneyflow.jobs.")}


def test_every_job_has_a_handler_and_every_handler_a_job() -> None:
    ours = {kind for kind, handler in handlers.registry.items() if handler.__module__.startswith("workers.jobs.")}

    assert ours == _product().keys()


def test_a_jobs_kind_is_the_name_of_its_module_and_of_its_handlers() -> None:
    for kind, job in _product().items():
        assert job.__module__ == f"moneyflow.jobs.{kind}"
        assert handlers.registry[kind].__module__ == f"workers.jobs.{kind}"


def test_every_job_is_named_in_a_test_of_its_own() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in _TESTS.rglob("test_*.py"))

    for job in _product().values():
        assert f"{job.__name__}(" in sources, f"no test enqueues {job.__name__}"


def test_a_second_handler_of_a_job_is_refused() -> None:
    (kind, job), *_ = _product().items()

    with pytest.raises(TypeError, match=f"{kind} has a handler already"):
        handlers.handles(job)(lambda *_: None)
