"""Storages for the conformance suite, each empty: a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.gateways.storage.storages import storage_of
from moneyflow.settings import load


@contextmanager
def folder_storage(folder: Path) -> Iterator[Storage]:
    """Yield the storage in a new folder."""
    storage = storage_of(load(StorageSettings, {"STORAGE_URL": f"file:{folder / 'files'}"}))
    yield storage
    storage.close()
