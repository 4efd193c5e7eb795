"""Downloads: whole files and parts of them, once for each state, by nginx where it is in front."""

import os
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from uuid import UUID

import falcon.testing
import httpx
import pytest

from moneyflow.gateways.storage import files, new_key
from moneyflow.platform import clock
from moneyflow.platform.http.ranges import State
from tests.support.api import Api, served
from tests.support.books import Book
from tests.support.storages import bucket_settings, s3_server, storage_in
from workers.testing import temporary_storage

_CONTENT = b"0123456789"
_NGINX = {"X-Sendfile-Type": "X-Accel-Redirect"}

Get = Callable[..., falcon.testing.Result]


@pytest.fixture
def stored(ada: Book) -> UUID:
    """Store a file of Ada's."""
    return _store(ada)


@pytest.fixture
def get(ada: Book, stored: UUID) -> Get:
    """Return what asks for it with further headers."""
    return lambda **headers: _read(ada, stored, headers)


def _store(book: Book, content: bytes = _CONTENT, *, seconds: float | None = None) -> UUID:
    written = temporary_storage().write(new_key("private", ".csv"), [content])
    expires_at = None if seconds is None else clock.now() + timedelta(seconds=seconds)
    with book.api.database.transaction() as session:
        return files.add(
            session,
            written,
            name="März, 2026.csv",
            content_type="text/csv; charset=utf-8",
            owner_id=book.user_id,
            expires_at=expires_at,
        )


def _read(book: Book, file_id: UUID, headers: dict[str, str], *, method: str = "GET") -> falcon.testing.Result:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return book.api.client.simulate_request(method, f"/v1/files/{file_id}", headers={**book.api.headers, **named})


def test_a_file_is_a_download_under_its_name_in_any_script(get: Get) -> None:
    answer = get()

    assert (answer.status_code, answer.content) == (200, _CONTENT)
    assert answer.headers["content-length"] == "10"
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"M_rz_ 2026.csv\"; filename*=UTF-8''M%C3%A4rz%2C%202026.csv"
    )
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_head_says_what_get_would_send_and_sends_nothing(ada: Book, stored: UUID, get: Get) -> None:
    head = _read(ada, stored, {"Range": "bytes=2-4"}, method="HEAD")

    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")
    same = ("etag", "last-modified", "content-type", "content-disposition", "accept-ranges")
    assert [head.headers[name] for name in same] == [get().headers[name] for name in same]


@pytest.mark.parametrize(
    ("asked", "part", "described"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", _CONTENT, "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
    ],
)
def test_a_range_is_answered_with_that_part_alone(get: Get, asked: str, part: bytes, described: str) -> None:
    answer = get(Range=asked)

    assert (answer.status_code, answer.content) == (206, part)
    assert answer.headers["content-range"] == described
    assert answer.headers["content-length"] == str(len(part))


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_of_bytes_that_are_not_there_is_answered_with_the_size(get: Get, asked: str) -> None:
    answer = get(Range=asked)

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == "/docs/problems#range-not-satisfiable"


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=-", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "", "bytes=" + "9" * 30 + "-"]
)
def test_what_is_no_single_range_of_bytes_is_answered_with_the_whole(get: Get, asked: str) -> None:
    assert (get(Range=asked).status_code, get(Range=asked).content) == (200, _CONTENT)


def test_an_empty_file_has_no_part(ada: Book) -> None:
    empty = _store(ada, b"")

    assert _read(ada, empty, {}).status_code == 200
    assert _read(ada, empty, {"Range": "bytes=0-"}).status_code == 416


def test_a_client_that_has_the_file_is_sent_nothing(get: Get) -> None:
    first = get().headers
    day_before = State(etag="", modified=clock.now() - timedelta(days=1)).last_modified

    for known in (
        {"If-None-Match": first["etag"]},
        {"If-None-Match": f'"another", W/{first["etag"]}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": first["last-modified"]},
        {"If-None-Match": first["etag"], "If-Modified-Since": day_before, "Range": "bytes=0-1"},
    ):
        answer = get(**known)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", first["etag"]), known
    for unknown in (
        {"If-None-Match": '"another"'},
        {"If-None-Match": '"another"', "If-Modified-Since": first["last-modified"]},
        {"If-Modified-Since": day_before},
        {"If-Modified-Since": "yesterday"},
        {"If-Modified-Since": "9" * 1000},
    ):
        assert get(**unknown).status_code == 200, unknown


def test_a_part_is_sent_only_to_complete_the_same_state(get: Get) -> None:
    first = get().headers

    for same in (first["etag"], first["last-modified"]):
        assert get(Range="bytes=0-1", If_Range=same).status_code == 206
    for other in ('"another"', f"W/{first['etag']}", "Wed, 21 Oct 2015 07:28:00 GMT", "nonsense"):
        assert get(Range="bytes=0-1", If_Range=other).status_code == 200


def test_an_expired_file_is_answered_like_one_that_never_was(ada: Book) -> None:
    expired, kept = _store(ada, seconds=-1), _store(ada, seconds=60)

    assert (_read(ada, expired, {}).status_code, _read(ada, kept, {}).status_code) == (404, 200)


def test_a_row_whose_file_is_missing_is_answered_like_one_that_is_not_there(ada: Book, stored: UUID, get: Get) -> None:
    with ada.api.database.transaction() as session:
        row = session.fetch_one("select key from files where id = %(id)s", {"id": stored})
    assert row is not None
    temporary_storage().delete(row["key"])

    answer = get()

    assert (answer.status_code, "missing" in answer.json["detail"]) == (404, True)


def test_nginx_sends_the_file_by_itself_where_a_trusted_proxy_says_that_it_does(
    get: Get, stored: UUID, ada: Book
) -> None:
    with served(ada.api.settings, ada.api.database, trusted_proxies=[ip_network("127.0.0.0/8")]) as behind_nginx:
        near = behind_nginx.client.simulate_get(f"/v1/files/{stored}", headers={**ada.api.headers, **_NGINX})
    direct = get(**_NGINX)

    assert near.headers["x-accel-redirect"].startswith("/private-files/")
    assert (near.content, near.headers["content-type"]) == (b"", "text/csv; charset=utf-8")
    assert near.headers["etag"] == direct.headers["etag"]
    assert "x-accel-redirect" not in direct.headers, "the header of a client counts for nothing"
    assert direct.content == _CONTENT


def test_a_public_file_is_read_by_everyone_and_kept_for_ever(api: Api) -> None:
    written = temporary_storage().write(new_key("public", ".webp"), [_CONTENT])
    url = files.public_url(written.key)

    answer = api.client.simulate_get(url)
    again = api.client.simulate_get(url, headers={"If-None-Match": answer.headers["etag"]})
    part = api.client.simulate_get(url, headers={"Range": "bytes=0-1"})

    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, _CONTENT, "image/webp")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "content-disposition" not in answer.headers
    assert (again.status_code, part.status_code, part.content) == (304, 206, b"01")


def test_a_private_file_a_path_and_a_folder_have_no_public_address(api: Api) -> None:
    key = temporary_storage().write(new_key("private"), [_CONTENT]).key
    rest = key.removeprefix("private/")

    for path in (
        f"/storage/{rest}",
        f"/storage/{key}",
        f"/storage/../{key}",
        f"/storage/..%2f{key.replace('/', '%2f')}",
        f"/storage/ab/..%2f..%2f{key.replace('/', '%2f')}",
        "/storage/",
        f"/storage/{rest[:2]}",
        f"/storage/{rest[:2]}/",
        f"/storage/ab/{os.sep}etc/passwd",
    ):
        assert api.client.simulate_get(path).status_code == 404, path


def test_a_bucket_sends_its_files_by_itself_once_the_owner_is_checked(ada: Book, eve: Book, tmp_path: Path) -> None:
    with s3_server(tmp_path) as address, storage_in(bucket_settings(address)) as bucket:
        private = bucket.write(new_key("private"), [_CONTENT])
        shown = bucket.write(new_key("public", ".webp"), [_CONTENT])
        with ada.api.database.transaction() as session:
            file_id = files.add(session, private, name="a.csv", content_type="text/csv", owner_id=ada.user_id)

        with served(ada.api.settings, ada.api.database, storage=bucket) as api:
            path = f"/v1/files/{file_id}"
            own = api.client.simulate_get(path, headers=ada.api.headers)
            foreign = api.client.simulate_get(path, headers=eve.api.headers)
            public = api.client.simulate_get(files.public_url(shown.key))

        assert (own.status_code, foreign.status_code, public.status_code) == (307, 404, 307)
        assert own.headers["cache-control"] == "no-store"
        assert public.headers["cache-control"] == "public, max-age=30"
        assert httpx.get(own.headers["location"], trust_env=False).content == _CONTENT
        followed = httpx.get(public.headers["location"], trust_env=False)
        assert (followed.content, followed.headers["content-type"]) == (_CONTENT, "image/webp")
        assert "content-disposition" not in followed.headers
