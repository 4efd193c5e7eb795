"""Storages for the conformance suite, each empty: a folder, and a bucket of a server that moto brings."""

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3.session

from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.gateways.storage.storages import storage_of
from moneyflow.settings import load
from ops.dev.stack.ports import answers, free_port
from ops.dev.stack.processes import spawn, stop, wait_until
from ops.dev.stack.servers.base import process_environment

_LOGIN = {"S3_ACCESS_KEY_ID": "money-flow", "S3_SECRET_ACCESS_KEY": "a secret of the tests", "S3_REGION": "eu-west-1"}


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Run a server that speaks S3, and yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = spawn(
        command, environment=process_environment(), log=folder / "s3.log", folder=folder, dies_with_parent=True
    )
    try:
        assert wait_until(lambda: answers(port), seconds=30), (folder / "s3.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(server, seconds=10)


def bucket_settings(endpoint: str) -> dict[str, str]:
    """Make a bucket, and return the settings of a storage in a part of it."""
    bucket = f"files-{uuid.uuid4().hex}"
    place = {"LocationConstraint": _LOGIN["S3_REGION"]}
    _client(endpoint).create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    return _LOGIN | {"STORAGE_URL": f"s3://{bucket}/money/flow", "S3_ENDPOINT_URL": endpoint}


@cache
def _client(endpoint: str) -> Any:
    """Return what makes buckets there; to make it takes longer than a test."""
    session = boto3.session.Session(
        aws_access_key_id=_LOGIN["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=_LOGIN["S3_SECRET_ACCESS_KEY"],
        region_name=_LOGIN["S3_REGION"],
    )
    return session.client("s3", endpoint_url=endpoint)


@contextmanager
def storage_in(settings: dict[str, str]) -> Iterator[Storage]:
    """Yield the storage of these settings."""
    storage = storage_of(load(StorageSettings, settings))
    yield storage
    storage.close()
