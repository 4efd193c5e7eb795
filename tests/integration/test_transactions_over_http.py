"""Transactions over HTTP: exact amounts, one effect per key, no lost update, and an event with every change."""

from collections.abc import Iterator
from typing import Any

import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.api import Api, served
from tests.support.books import BREAD, Book, book_of
from tests.support.servers import RealServers


@pytest.fixture
def api(servers: RealServers, settings: AllSettings, database: Database) -> Iterator[Api]:
    assert servers.redis.identity(), "it runs"
    with served(settings, database) as api:
        yield api


@pytest.fixture
def ada(api: Api) -> Book:
    return book_of(api)


@pytest.fixture
def eve(api: Api) -> Book:
    return book_of(api)


def _pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json["errors"]]


def test_a_transaction_is_added_and_read_as_it_was_sent(ada: Book) -> None:
    category = ada.category()

    added = ada.call("POST", "/v1/transactions", BREAD | {"category_id": category["id"]})
    read = ada.call("GET", added.headers["Location"])

    assert added.status_code == 201
    assert added.json == read.json
    assert {name: read.json[name] for name in BREAD} == BREAD
    assert read.json["category_id"] == category["id"]
    assert read.json["payment_id"] is read.json["import_id"] is None
    assert added.headers["ETag"] == read.headers["ETag"]
    assert ada.call("GET", added.headers["Location"], If_None_Match=read.headers["ETag"]).status_code == 304
