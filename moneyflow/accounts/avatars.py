"""Avatars: an uploaded image waits as a private file, and a job makes the public ones from it.

The newest upload counts: the job of an older one finds that it was replaced. The avatar changes in one commit, with its
event; the images of the one before are deleted then.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.accounts.avatar_images import SIZES, ImageRefusedError, scaled
from moneyflow.events.user import UserUpdated
from moneyflow.gateways.storage import Storage, Written, files, new_key
from moneyflow.gateways.storage.keys import variant
from moneyflow.jobs.process_avatar import ProcessAvatar
from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.events.emit import emit
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: For how long an upload waits for its job; longer than the job is retried.
_UPLOAD_KEPT = timedelta(days=2)
_LARGEST = max(SIZES)


def upload(session: Session, written: Written, *, user_id: UUID, content_type: str) -> UUID:
    """Make a file, which is written already, the image of which the user's next avatar is made; return the job's id.

    Raises:
        NotFoundError: the account was deleted.
    """
    file_id = files.add(
        session,
        written,
        name="avatar",
        content_type=content_type,
        owner_id=user_id,
        expires_at=clock.now() + _UPLOAD_KEPT,
    )
    replaced = session.fetch_one(_QUERIES["await_upload"], {"id": user_id, "file_id": file_id})
    if replaced is None:
        raise NotFoundError("the account does not exist any more")
    return enqueue(session, ProcessAvatar(user_id=user_id, file_id=file_id))


def process(session: Session, storage: Storage, *, user_id: UUID, file_id: UUID) -> dict[str, Any] | None:
    """Make the avatar of an upload; return its address, or why the image is refused. None: the upload was replaced.

    Raises:
        UnavailableError: the storage is down.
    """
    found = session.fetch_one(_QUERIES["upload"], {"id": user_id, "file_id": file_id})
    if found is None:
        return None
    with storage.open(found["key"]) as file:
        content = file.read()
    try:
        images = scaled(content)
    except ImageRefusedError as error:
        _end_upload(session, storage, file_id, found["key"])
        return {"refused": error.detail}
    written = _write(storage, images)
    return _change(session, storage, written, user_id=user_id, file_id=file_id, upload_key=found["key"])


def remove(session: Session, storage: Storage, user_id: UUID) -> None:
    """Delete the avatar, and what was uploaded for one; an account without one stays as it is.

    Raises:
        NotFoundError: the account was deleted.
    """
    current = session.fetch_one(_QUERIES["lock"], {"id": user_id})
    if current is None:
        raise NotFoundError("the account does not exist any more")
    if current["avatar_upload_id"] is not None:
        files.delete(session, current["avatar_upload_id"])
    if current["avatar_key"] is not None:
        _set(session, user_id, key=None)
        _delete_images(session, storage, current["avatar_key"])


def _write(storage: Storage, images: Mapping[int, bytes]) -> Mapping[int, Written]:
    key = new_key("public", ".webp")
    return {size: storage.write(_key_of(key, size), [image]) for size, image in images.items()}


def _change(
    session: Session,
    storage: Storage,
    written: Mapping[int, Written],
    *,
    user_id: UUID,
    file_id: UUID,
    upload_key: str,
) -> dict[str, Any] | None:
    current = session.fetch_one(_QUERIES["lock"], {"id": user_id})
    if current is None or current["avatar_upload_id"] != file_id:
        return None  # Nothing names what was written; the sweep deletes it.
    for size, image in written.items():
        files.add(session, image, name=f"avatar-{size}.webp", content_type="image/webp", owner_id=user_id)
    key = written[_LARGEST].key
    _set(session, user_id, key=key)
    _end_upload(session, storage, file_id, upload_key)
    if current["avatar_key"] is not None:
        _delete_images(session, storage, current["avatar_key"])
    return {"avatar_url": files.public_url(key)}


def _set(session: Session, user_id: UUID, *, key: str | None) -> None:
    row = session.fetch_one(_QUERIES["set"], {"id": user_id, "key": key})
    assert row is not None, "the row is locked"
    emit(session, UserUpdated(sequence=row["version"], user_id=user_id, changed=("avatar_url",)))


def _end_upload(session: Session, storage: Storage, file_id: UUID, key: str) -> None:
    files.delete(session, file_id)
    _delete_after_commit(session, storage, [key])


def _delete_images(session: Session, storage: Storage, key: str) -> None:
    keys = [_key_of(key, size) for size in SIZES]
    session.execute(_QUERIES["delete_files"], {"keys": keys})
    _delete_after_commit(session, storage, keys)


def _delete_after_commit(session: Session, storage: Storage, keys: Iterable[str]) -> None:
    """Delete files as soon as their rows are gone; where that fails, the sweep does it."""
    for key in keys:
        session.after_commit(partial(storage.delete, key))


def _key_of(key: str, size: int) -> str:
    return key if size == _LARGEST else variant(key, str(size))
