"""Avatars: uploaded through the API, made by a job, served as public files, and gone with their account."""

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import falcon.testing
import pytest
from PIL import Image

from api.upload_sizes import AVATAR_BYTES
from moneyflow.accounts import avatars
from moneyflow.gateways.storage import Storage
from moneyflow.jobs.process_avatar import ProcessAvatar
from moneyflow.platform import clock
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support.api import Api
from tests.support.books import Book
from workers.testing import run_jobs, temporary_storage

_ME = "/v1/users/me"
_AVATAR = "/v1/users/me/avatar"


def _image(colour: str = "red", *, format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(out, format)
    return out.getvalue()


def _put(api: Api, content: bytes) -> falcon.testing.Result:
    return api.client.simulate_put(_AVATAR, body=content, headers=api.headers)


def _changed(api: Api, content: bytes) -> Any:
    """Upload an avatar, run its job, and return the job as its user sees it."""
    answer = _put(api, content)
    assert answer.status_code == 202, answer.text
    _run(api)
    return api.call("GET", answer.headers["Location"]).json


def _run(api: Api) -> None:
    with api.database.transaction() as session:
        run_jobs(session)


def _rows(api: Api) -> list[str]:
    with api.database.transaction() as session:
        return [row["key"] for row in session.fetch_all("select key from files order by key")]


def _stored() -> Iterator[str]:
    return temporary_storage().keys(written_before=clock.now() + timedelta(seconds=5))


@pytest.fixture
def ada(ada: Book) -> Api:
    """Return the API as Ada calls it."""
    return ada.api


@pytest.fixture
def before() -> set[str]:
    """Return what other tests have left in the storage."""
    return set(_stored())


def test_an_avatar_is_made_in_three_sizes_and_served_to_everyone(ada: Api, before: set[str]) -> None:
    etag = ada.call("GET", _ME).headers["ETag"]

    job = _changed(ada, _image())

    me = ada.call("GET", _ME)
    url = me.json["avatar_url"]
    assert (job["state"], job["result"]) == ("succeeded", {"avatar_url": url})
    assert me.headers["ETag"] != etag
    sizes = {}
    for address in (url, url.replace(".webp", "-256.webp"), url.replace(".webp", "-64.webp")):
        answer = ada.client.simulate_get(address)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp")
        sizes[address] = Image.open(io.BytesIO(answer.content)).size
    assert list(sizes.values()) == [(512, 512), (256, 256), (64, 64)]
    assert len(_rows(ada)) == 3
    assert set(_stored()) - before == set(_rows(ada)), "the upload is gone"
    assert [type for type, _ in ada.events()].count("user.updated") == 1


def test_the_avatar_before_is_deleted_and_the_new_one_has_another_address(ada: Api, before: set[str]) -> None:
    _changed(ada, _image("red"))
    first = ada.call("GET", _ME).json["avatar_url"]

    _changed(ada, _image("blue", format="JPEG"))

    second = ada.call("GET", _ME).json["avatar_url"]
    assert first != second
    assert ada.client.simulate_get(first).status_code == 404
    assert ada.client.simulate_get(second).status_code == 200
    assert set(_stored()) - before == set(_rows(ada))
    assert len(_rows(ada)) == 3


def test_the_newest_of_several_uploads_counts_in_whatever_order_their_jobs_run(ada: Api) -> None:
    first, second = _put(ada, _image("red")), _put(ada, _image("blue"))

    _run(ada)

    states = [ada.call("GET", answer.headers["Location"]).json["state"] for answer in (first, second)]
    url = ada.call("GET", _ME).json["avatar_url"]
    pixel = Image.open(io.BytesIO(ada.client.simulate_get(url).content)).convert("RGB").getpixel((99, 99))
    assert states == ["cancelled", "succeeded"]
    assert pixel[2] > 200  # type: ignore[index]


def test_a_damaged_image_is_refused_with_the_reason_as_the_result(ada: Api, before: set[str]) -> None:
    _changed(ada, _image())
    kept = ada.call("GET", _ME).json["avatar_url"]

    job = _changed(ada, _image()[:80])

    assert job["state"] == "succeeded"
    assert job["result"] == {"refused": "it is no image, or is damaged; send a whole PNG, JPEG, GIF or WebP"}
    assert ada.call("GET", _ME).json["avatar_url"] == kept
    assert set(_stored()) - before == set(_rows(ada))


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"PK\x03\x04 a zip called .png", 415), (b"", 415), (b"<html>", 415), (_image() + bytes(AVATAR_BYTES), 413)],
)
def test_what_is_no_image_or_too_large_is_refused_at_once_and_nothing_is_kept(
    ada: Api, before: set[str], content: bytes, status: int
) -> None:
    answer = _put(ada, content)

    assert answer.status_code == status
    assert _rows(ada) == []
    assert set(_stored()) == before


def test_a_deleted_avatar_is_gone_with_what_waited_for_its_job(ada: Api, before: set[str]) -> None:
    _changed(ada, _image())
    url = ada.call("GET", _ME).json["avatar_url"]
    waiting = _put(ada, _image("blue"))

    deleted = [ada.call("DELETE", _AVATAR).status_code for _ in range(2)]
    _run(ada)

    assert deleted == [204, 204]
    assert ada.call("GET", _ME).json["avatar_url"] is None
    assert ada.client.simulate_get(url).status_code == 404
    assert ada.call("GET", waiting.headers["Location"]).json["state"] == "cancelled"
    assert _rows(ada) == []
    assert [type for type, _ in ada.events()].count("user.updated") == 2


def test_the_files_of_a_deleted_account_are_left_to_the_sweep(ada: Api) -> None:
    _changed(ada, _image())
    _put(ada, _image("blue"))
    keys = _rows(ada)

    assert ada.call("DELETE", _ME).status_code == 204

    with ada.database.transaction() as session:
        left = [row["key"] for row in session.fetch_all("select key from file_deletions order by key")]
    assert len(keys) == 4
    assert set(keys) <= set(left)


def test_the_job_of_an_upload_that_is_gone_is_cancelled(ada: Api) -> None:
    with ada.database.transaction() as session:
        enqueue(session, ProcessAvatar(user_id=new_id(), file_id=new_id()))
        (ran,) = run_jobs(session)

    assert ran.outcome == "cancelled"


def test_a_storage_that_is_down_loses_no_upload_and_no_avatar(ada: Api) -> None:
    class Down:
        """A storage that is down."""

        def __getattr__(self, _: str) -> Any:
            raise UnavailableError("the storage is down")

    _changed(ada, _image())
    before = ada.call("GET", _ME).json["avatar_url"]
    answer = _put(ada, _image("blue"))
    with ada.database.transaction() as session:
        row = session.fetch_one("select id, avatar_upload_id from users")
    assert row is not None

    with pytest.raises(UnavailableError), ada.database.transaction() as session:
        _process(session, Down(), row["id"], row["avatar_upload_id"])
    _run(ada)

    assert ada.call("GET", answer.headers["Location"]).json["state"] == "succeeded"
    assert ada.call("GET", _ME).json["avatar_url"] != before


def _process(session: Any, storage: Any, user_id: UUID, file_id: UUID) -> None:
    kept: Storage = storage
    avatars.process(session, kept, user_id=user_id, file_id=file_id)
