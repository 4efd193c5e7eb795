"""Files through nginx: private ones are sent by it once the API has checked the owner, public ones without the API."""

from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from moneyflow.gateways.storage import Storage, files, new_key
from moneyflow.gateways.storage.storages import storage_of
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from ops.dev.stack.home import State
from ops.dev.stack.https import client_options
from ops.dev.stack.servers import Nginx
from tests.support import people
from tests.support.callers import bearer
from tests.support.processes import Process, Processes

_CONTENT = bytes(range(256)) * 4096
_ORIGIN = "https://app.example.com"


@pytest.fixture
def api(processes: Processes) -> Process:
    return processes.api(TRUSTED_PROXIES="127.0.0.1/32", CORS_ORIGINS=_ORIGIN)


@pytest.fixture
def client(api: Process, settings: AllSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Run nginx before the API, on the same folder of files."""
    state = State(tmp_path_factory.mktemp("stack"))
    state.change("ports", "api", api.port)
    nginx = Nginx(state, files=settings.storage_folder)
    nginx.start()
    try:
        nginx.wait_ready()
        with httpx.Client(**client_options(nginx.settings()), timeout=60) as client:
            yield client
    finally:
        nginx.stop()


@pytest.fixture
def storage(settings: AllSettings) -> Storage:
    return storage_of(settings)


@pytest.fixture
def owner_id(database: Database) -> UUID:
    return people.add(database)


@pytest.fixture
def stored(storage: Storage, database: Database, owner_id: UUID) -> UUID:
    written = storage.write(new_key("private", ".bin"), [_CONTENT])
    with database.transaction() as session:
        return files.add(session, written, name="März.bin", content_type="application/x-figures", owner_id=owner_id)


def test_a_private_file_has_the_same_headers_and_parts_with_nginx_as_without(
    client: httpx.Client, api: Process, settings: AllSettings, owner_id: UUID, stored: UUID
) -> None:
    path, headers = f"/v1/files/{stored}", {**bearer(settings, user_id=owner_id), "Origin": _ORIGIN}

    def answers(**asked: str) -> list[httpx.Response]:
        """Return the answers of nginx and of the API itself."""
        named = {name.replace("_", "-"): value for name, value in asked.items()} | headers
        return [client.get(path, headers=named), httpx.get(f"http://127.0.0.1:{api.port}{path}", headers=named)]

    whole, direct = answers()
    assert whole.headers["server"] == "nginx"
    assert whole.content == direct.content == _CONTENT
    compared = (
        "content-length", "content-type", "content-disposition", "etag", "last-modified", "accept-ranges",
        "cache-control", "content-security-policy", "x-content-type-options", "referrer-policy",
        "cross-origin-resource-policy", "access-control-allow-origin", "access-control-allow-credentials",
        "access-control-expose-headers", "vary",
    )  # fmt: skip
    assert {name: whole.headers.get(name) for name in compared} == {name: direct.headers[name] for name in compared}
    assert "x-accel-redirect" not in whole.headers
    assert len(whole.headers.get_list("x-request-id")) == 1

    etag, modified = whole.headers["etag"], whole.headers["last-modified"]
    for asked, status in (
        ({"Range": "bytes=10-19"}, 206),
        ({"Range": "bytes=-5"}, 206),
        ({"Range": "bytes=0-1,5-6"}, 200),
        ({"Range": "bytes=10-19", "If_Range": etag}, 206),
        ({"Range": "bytes=10-19", "If_Range": modified}, 206),
        ({"Range": "bytes=10-19", "If_Range": '"another"'}, 200),
        ({"Range": "bytes=9999999-"}, 416),
        ({"If_None_Match": etag}, 304),
        ({"If_None_Match": '"another"', "If_Modified_Since": modified}, 200),
        ({"If_Modified_Since": modified}, 304),
        ({"If_Modified_Since": "Wed, 21 Oct 2015 07:28:00 GMT"}, 200),
    ):
        through, alone = answers(**asked)
        assert (through.status_code, alone.status_code) == (status, status), asked
        assert through.headers.get("content-range") == alone.headers.get("content-range"), asked
        if status == 416:
            assert through.headers["content-type"] == "application/problem+json"
        else:
            assert through.content == alone.content, asked


def test_a_private_file_is_sent_to_its_owner_alone(
    client: httpx.Client, settings: AllSettings, database: Database, owner_id: UUID, stored: UUID
) -> None:
    with database.transaction() as session:
        row = session.fetch_one("select key from files where id = %(id)s", {"id": stored})
    assert row is not None
    rest = row["key"].removeprefix("private/")

    other = client.get(f"/v1/files/{stored}", headers=bearer(settings, user_id=people.add(database)))
    anonymous = client.get(f"/v1/files/{stored}")
    guessed = [client.get(path) for path in (f"/private-files/{rest}", f"/storage/{rest}", f"/storage/../{row['key']}")]

    assert (other.status_code, anonymous.status_code) == (404, 401)
    assert {answer.status_code for answer in guessed} == {404}
    assert client.get(f"/v1/files/{stored}", headers=bearer(settings, user_id=owner_id)).status_code == 200


def test_a_public_file_is_sent_by_nginx_and_runs_nothing(client: httpx.Client, storage: Storage) -> None:
    key = storage.write(new_key("public", ".webp"), [b"RIFF<script>1</script>"]).key

    answer = client.get(files.public_url(key))

    assert (answer.status_code, answer.text) == (200, "RIFF<script>1</script>")
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    again = client.get(files.public_url(key), headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_public_file_that_is_not_there_is_answered_by_the_api_and_takes_no_other_method(
    client: httpx.Client, api: Process
) -> None:
    path = files.public_url(new_key("public", ".webp"))

    missing = client.get(path)

    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    assert 'route="/storage/{folder}/{name}"' in api.get("/metrics").text
    assert [client.request(method, path).status_code for method in ("POST", "DELETE")] == [405, 405]
