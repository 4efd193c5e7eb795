"""Files' rows: found by their owner alone, until they expire; a deleted row leaves its key to the sweep."""

from datetime import timedelta
from uuid import UUID

import pytest

from moneyflow.gateways.storage import Written, files, new_key
from moneyflow.platform import clock
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.settings import RetentionSettings
from moneyflow.retention import purge
from tests.support import people


def _written() -> Written:
    return Written(key=new_key("private", ".csv"), size=3, sha256="ab" * 32)


def _add(session: Session, owner_id: UUID | None, *, seconds: float | None = None) -> UUID:
    expires_at = None if seconds is None else clock.now() + timedelta(seconds=seconds)
    return files.add(
        session, _written(), name="a.csv", content_type="text/csv", owner_id=owner_id, expires_at=expires_at
    )


def _deleted_keys(session: Session) -> set[str]:
    return {row["key"] for row in session.fetch_all("select key from file_deletions")}


def test_a_file_is_found_by_its_owner_and_administrators_and_by_no_one_else(database: Database) -> None:
    owner_id, other_id = people.add(database), people.add(database)
    with database.transaction() as session:
        written = _written()
        file_id = files.add(session, written, name="März.csv", content_type="text/csv", owner_id=owner_id)

        own = files.find(OwnerScope(session, owner_id), file_id)
        seen = files.find(OwnerScope(session, other_id, sees_all=True), file_id)

        assert (own.key, own.name, own.size, own.sha256, own.expires_at) == (
            written.key, "März.csv", 3, "ab" * 32, None,
        )  # fmt: skip
        assert seen == own
        for scope in (OwnerScope(session, other_id), OwnerScope(session, None)):
            with pytest.raises(NotFoundError):
                files.find(scope, file_id)


def test_an_expired_file_is_found_no_more_and_goes_with_the_next_purge(database: Database) -> None:
    owner_id = people.add(database)
    with database.transaction() as session:
        expired, kept = _add(session, owner_id, seconds=-1), _add(session, owner_id, seconds=3600)
        scope = OwnerScope(session, owner_id)

        with pytest.raises(NotFoundError):
            files.find(scope, expired)
        deleted = purge(session, RetentionSettings(), seconds=60)["files"]

        assert deleted == 1
        assert files.find(scope, kept).id == kept
        assert len(_deleted_keys(session)) == 1


def test_whatever_deletes_a_row_leaves_its_key(database: Database) -> None:
    owner_id = people.add(database)
    with database.transaction() as session:
        keys = []
        for _ in range(3):
            written = _written()
            keys.append(written.key)
            files.add(session, written, name="a", content_type="text/csv", owner_id=owner_id)
        first = session.fetch_one("select id from files where key = %(key)s", {"key": keys[0]})
        assert first is not None
        files.delete(session, first["id"])
        files.delete(session, first["id"])
        assert _deleted_keys(session) == {keys[0]}

        session.execute("delete from users where id = %(id)s", {"id": owner_id})

        assert _deleted_keys(session) == set(keys)
        assert session.fetch_all("select 1 from files") == []


def test_a_file_whose_owner_was_deleted_meanwhile_is_for_administrators_alone(database: Database) -> None:
    owner_id = new_id()
    with database.transaction() as session:
        file_id = _add(session, owner_id)

        with pytest.raises(NotFoundError):
            files.find(OwnerScope(session, owner_id), file_id)
        assert files.find(OwnerScope(session, None, sees_all=True), file_id).id == file_id


def test_a_public_file_has_an_address_and_a_private_one_has_none() -> None:
    key = new_key("public", ".webp")

    assert files.public_url(key) == "/storage/" + key.removeprefix("public/")
    with pytest.raises(ValueError, match="private"):
        files.public_url(new_key("private"))
