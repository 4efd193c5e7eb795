"""The storage that the settings name."""

import threading

import structlog

from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.file import FileStorage
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.platform.errors import UnavailableError

log = structlog.get_logger(__name__)


def storage_of(settings: StorageSettings) -> Storage:
    """Return the storage; it connects to nothing before it is used."""
    if settings.storage_folder is not None:
        return FileStorage(settings.storage_folder)
    from moneyflow.gateways.storage.s3 import S3Storage  # noqa: PLC0415 - boto3 slows the start of every process

    return S3Storage(settings)


def check_at_start(storage: Storage) -> threading.Thread:
    """Log a storage that cannot be used, in a thread: all that needs no files works without it."""
    thread = threading.Thread(target=_log_outage, args=(storage,), name="storage check", daemon=True)
    thread.start()
    return thread


def _log_outage(storage: Storage) -> None:
    try:
        storage.check()
    except UnavailableError as error:
        log.error("storage_unavailable", error=error.detail)  # noqa: TRY400 - the error says where it comes from
