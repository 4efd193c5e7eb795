"""A file as a job's result: kept exactly when its job has succeeded, served by its address, deleted with its job."""

from collections.abc import Iterator

import falcon.testing
import pytest
from psycopg.types.json import Jsonb

from api.app import create_app
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.contract import registry as contracts
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.jobs.result_file import MAX_FILE_BYTES
from moneyflow.platform.telemetry.origin import Origin, working_for
from moneyflow.settings import AllSettings
from tests.support import callers, people
from tests.support.servers import RealServers
from tests.support.services import services
from workers.handlers import Context, File, Result, handles
from workers.handlers import registry as handlers
from workers.testing import Ran, run_jobs

_REPORT = File(name="März, 2026.csv", content=b"a;b\n\x00\xff", content_type="text/csv; charset=utf-8")


@pytest.fixture
def returned() -> Iterator[list[File]]:
    """Declare a job that returns the one file in this list."""
    files = [_REPORT]

    class WriteReport(Job, kind="write_report"):
        """Return a file."""

    @handles(WriteReport)
    def write_report(_context: Context, _job: WriteReport) -> Result:
        return files[0]

    yield files
    del contracts["write_report"], handlers["write_report"]


@pytest.fixture
def api(servers: RealServers, settings: AllSettings, database: Database) -> falcon.testing.TestClient:
    assert servers.redis.identity(), "it runs"
    headers = callers.administrator(settings)
    return falcon.testing.TestClient(create_app(services(settings, database)), headers=headers)


def _ran(database: Database) -> Ran:
    with database.transaction() as session:
        enqueue(session, contracts["write_report"]())
        (ran,) = run_jobs(session)
    return ran


def _files(database: Database) -> int:
    with database.transaction() as session:
        return len(session.fetch_all("select id from files"))


def test_the_result_of_the_job_leads_to_the_file(
    returned: list[File], api: falcon.testing.TestClient, database: Database
) -> None:
    ran = _ran(database)

    file = api.simulate_get(f"/v1/jobs/{ran.job_id}").json["result"]["file"]
    answer = api.simulate_get(file["url"])

    assert (file["name"], file["content_type"], file["size"]) == (_REPORT.name, _REPORT.content_type, 6)
    assert answer.status_code == 200
    assert answer.content == _REPORT.content
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "filename*=UTF-8''M%C3%A4rz%2C%202026.csv" in answer.headers["content-disposition"]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"] == f'"{file["sha256"]}"'
    again = api.simulate_get(file["url"], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_result_keeps_the_id_of_the_file_and_knows_no_address(returned: list[File], database: Database) -> None:
    ran = _ran(database)

    assert ran.result is not None
    assert ran.result["file"].keys() == {"id", "name", "content_type", "size", "sha256"}


@pytest.mark.parametrize(
    "result",
    [
        {"file": {"name": "a.csv", "content_type": "text/csv", "size": 1, "sha256": "00", "url": "/v1/files/old"}},
        {"file": "a path of the handler's own"},
        {"file": {"id": 7, "rows": 3}},
        {"sent": True},
        None,
    ],
    ids=["an older worker's", "a text", "a dictionary of its own", "no file", "nothing"],
)
def test_any_other_result_is_shown_as_it_is(
    returned: list[File], api: falcon.testing.TestClient, database: Database, result: dict[str, object] | None
) -> None:
    ran = _ran(database)
    with database.transaction() as session:
        session.execute("update jobs set result = %(result)s", {"result": Jsonb(result) if result else None})

    assert api.simulate_get(f"/v1/jobs/{ran.job_id}").json["result"] == result


def test_a_file_that_cannot_be_kept_fails_the_job_and_leaves_nothing(returned: list[File], database: Database) -> None:
    for refused, why in [
        (File(name="../etc/passwd", content=b""), "name"),
        (File(name="a\nb", content=b""), "name"),
        (File(name="a", content=b"", content_type="text/html\r\nX: y"), "content_type"),
        (File(name="a", content=bytes(MAX_FILE_BYTES + 1)), "content"),
    ]:
        returned[0] = refused
        ran = _ran(database)
        assert ran.outcome == "failed"
        assert f"the file's {why}" in str(ran.error)

    assert _files(database) == 0


def test_a_file_is_read_by_the_owner_of_its_job_and_by_no_other_user(
    returned: list[File], api: falcon.testing.TestClient, settings: AllSettings, database: Database
) -> None:
    owner_id = people.add(database)
    with database.transaction() as session, working_for(Origin(actor_id=str(owner_id))):
        enqueue(session, contracts["write_report"]())
        (ran,) = run_jobs(session)
    assert ran.result is not None
    path = f"/v1/files/{ran.result['file']['id']}"

    own = api.simulate_get(path, headers=callers.bearer(settings, user_id=owner_id))
    foreign = api.simulate_get(path, headers=callers.bearer(settings))
    anonymous = api.simulate_get(path, headers={"Authorization": "Bearer none"})

    assert (own.status_code, own.content) == (200, _REPORT.content)
    assert (foreign.status_code, anonymous.status_code) == (404, 401)


def test_a_file_goes_with_its_job(returned: list[File], api: falcon.testing.TestClient, database: Database) -> None:
    ran = _ran(database)
    assert ran.result is not None
    with database.transaction() as session:
        session.execute("delete from jobs where id = %(id)s", {"id": ran.job_id})

    assert _files(database) == 0
    deleted = api.simulate_get(f"/v1/files/{ran.result['file']['id']}")
    assert (deleted.status_code, deleted.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("address", ["nonsense", "0190a5e1-7c00-7000-8000-000000000000"], ids=["nonsense", "unknown"])
def test_an_address_that_leads_to_no_file_says_so(address: str, api: falcon.testing.TestClient) -> None:
    answer = api.simulate_get(f"/v1/files/{address}")

    assert answer.status_code == 404
    assert "file" in answer.json["detail"]
