"""The storage gateway's settings: a folder or a bucket, by one address."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from moneyflow.platform.settings import Section


def _address(given: str) -> str:
    """Check that it names a folder or a bucket."""
    parts = urlsplit(given)
    is_folder = parts.scheme == "file" and not parts.netloc and parts.path.strip("/")
    is_bucket = parts.scheme == "s3" and parts.netloc
    if not (is_folder or is_bucket) or parts.query or parts.fragment:
        raise ValueError(
            "the address names no folder and no bucket; give one such as file:storage/app, file:/srv/files or "
            "s3://bucket/prefix"
        )
    return given


class StorageSettings(Section):
    """Storage of files: `file:storage/app` for a folder, `s3://bucket/prefix` for a bucket, and the bucket's login."""

    #: The provider of the bucket gives it; empty with a folder, and where the machine itself may use the bucket.
    optional_secrets: ClassVar[frozenset[str]] = frozenset({"s3_secret_access_key"})

    storage_url: Annotated[str, AfterValidator(_address)] = "file:storage/app"
    #: Empty: Amazon's own; else that of another provider of the same protocol.
    s3_endpoint_url: str = ""
    s3_region: str = ""
    #: Empty: the credentials of the machine, found as AWS's own tools find them.
    s3_access_key_id: str = ""
    s3_secret_access_key: SecretStr = SecretStr("")

    @classmethod
    def production_problems(cls, values: Mapping[str, str]) -> list[str]:
        """Refuse to send people's files in clear text."""
        found = super().production_problems(values)
        if values["s3_endpoint_url"].startswith("http://"):
            found.append("S3_ENDPOINT_URL must begin with https://, or files are sent in clear text")
        return found

    @property
    def storage_folder(self) -> Path | None:
        """The folder, relative to the working directory unless absolute; None for a bucket."""
        parts = urlsplit(self.storage_url)
        return Path(parts.path) if parts.scheme == "file" else None

    @property
    def storage_bucket(self) -> tuple[str, str]:
        """The bucket and the prefix of its keys, without a slash at its ends."""
        parts = urlsplit(self.storage_url)
        return parts.netloc, parts.path.strip("/")
