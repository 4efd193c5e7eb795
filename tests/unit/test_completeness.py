"""Nothing is half added: every job has its handler and its test, under one name everywhere."""

import re
from pathlib import Path

import pytest

import mail_templates
import workers.jobs  # noqa: F401 - importing it declares the handlers
from moneyflow.jobs import Job
from moneyflow.jobs import registry as contracts
from workers import handlers

_TESTS = Path(__file__).parent.parent
_ROOT = _TESTS.parent
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


def test_every_job_is_named_in_a_test() -> None:
    sources = [path.read_text(encoding="utf-8") for path in _TESTS.rglob("test_*.py")]

    for kind, job in _product().items():
        named = any(f"{job.__name__}(" in source for source in sources)
        assert named, f"no test enqueues {job.__name__}: add tests/e2e/test_{kind}.py"


def test_every_mail_that_code_names_has_its_template_and_every_template_is_named() -> None:
    for name in mails_named_in_code() - set(mail_templates.names()):
        pytest.fail(f"the code sends the mail {name!r} and there is no mail_templates/{name}.jinja")
    for name in set(mail_templates.names()) - mails_named_in_code():
        pytest.fail(f"nothing sends mail_templates/{name}.jinja")


def test_a_second_handler_of_a_job_is_refused() -> None:
    (kind, job), *_ = _product().items()

    with pytest.raises(TypeError, match=f"{kind} has a handler already"):
        handlers.handles(job)(lambda *_: None)
