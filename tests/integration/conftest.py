"""Fixtures of the tests that call the API in their own process."""

from collections.abc import Iterator

import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.api import Api, served
from tests.support.books import Book, book_of
from tests.support.servers import RealServers


@pytest.fixture
def api(servers: RealServers, settings: AllSettings, database: Database) -> Iterator[Api]:
    """Serve the API in this process."""
    assert servers.redis.identity(), "it runs"
    with served(settings, database) as api:
        yield api


@pytest.fixture
def ada(api: Api) -> Book:
    """Return the book of a user."""
    return book_of(api)


@pytest.fixture
def eve(api: Api) -> Book:
    """Return the book of another user."""
    return book_of(api)
