"""The storage that the settings name."""

from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.file import FileStorage
from moneyflow.gateways.storage.settings import StorageSettings


def storage_of(settings: StorageSettings) -> Storage:
    """Return the storage; it connects to nothing before it is used."""
    if settings.storage_folder is not None:
        return FileStorage(settings.storage_folder)
    from moneyflow.gateways.storage.s3 import S3Storage  # noqa: PLC0415 - boto3 slows the start of every process

    return S3Storage(settings)
