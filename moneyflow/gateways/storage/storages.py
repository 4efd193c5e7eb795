"""The storage that the settings name."""

from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.file import FileStorage
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.platform.errors import ConfigurationError


def storage_of(settings: StorageSettings) -> Storage:
    """Return the storage; it connects to nothing before it is used."""
    if settings.storage_folder is not None:
        return FileStorage(settings.storage_folder)
    raise ConfigurationError("STORAGE_URL names a bucket, and this version has no client for one; give a folder")
