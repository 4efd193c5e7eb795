"""A change under `If-Match`: what happens where another request was faster."""

import falcon
import falcon.testing
import pytest

from api.requests import change_matched
from moneyflow.platform.errors import PreconditionFailedError


class _Row:
    """A row that another request changes before each of the first changes here."""

    def __init__(self, *, faster: int) -> None:
        self.version, self.faster, self.changes = 1, faster, 0

    def change(self, read: int) -> int:
        if self.faster:
            self.faster -= 1
            self.version += 1
        if read != self.version:
            raise PreconditionFailedError("changed meanwhile")
        self.version, self.changes = self.version + 1, self.changes + 1
        return self.version


def _changed(row: _Row, if_match: str) -> int:
    request: falcon.Request = falcon.testing.create_req(headers={"If-Match": if_match})
    return change_matched(request, read=lambda: row.version, etag_of=lambda read: f'"{read}"', change=row.change)


def test_any_version_is_changed_once_though_others_were_faster() -> None:
    row = _Row(faster=3)

    assert _changed(row, "*") == 5
    assert row.changes == 1


def test_a_version_that_another_request_has_changed_is_refused() -> None:
    row = _Row(faster=1)

    with pytest.raises(PreconditionFailedError):
        _changed(row, '"1"')
    assert row.changes == 0


def test_a_row_that_changes_all_the_time_is_given_up() -> None:
    row = _Row(faster=1000)

    with pytest.raises(PreconditionFailedError):
        _changed(row, "*")
    assert row.changes == 0
