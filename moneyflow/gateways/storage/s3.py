"""Storage in a bucket of S3, Amazon's or that of another provider of its protocol.

Imported by `storages.storage_of` alone, where the settings name a bucket: boto3 takes a quarter of a second to import.
A file is uploaded part by part, and exists once all of it is there. What a crash has left of an upload is no file; a
rule of the bucket's own deletes it (ops/runbooks/storage.md).
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from moneyflow.gateways.storage import Storage, Written
from moneyflow.gateways.storage.disposition import attachment
from moneyflow.gateways.storage.keys import check_key, is_kept, is_key
from moneyflow.gateways.storage.reading import Part
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.platform.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes of a part: a writer holds one in memory, and an upload has at most 10,000.
_PART_BYTES = 8 * 1024 * 1024
_TRANSFER = TransferConfig(multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, use_threads=False)
#: Connections that threads share; requests above them open further ones.
_CONNECTIONS = 32
_MISSING = frozenset({"404", "NoSuchKey"})
_BEYOND_THE_END = "InvalidRange"


class S3Storage(Storage):
    """Files in a bucket."""

    def __init__(self, settings: StorageSettings, *, connect_seconds: float = 3, read_seconds: float = 20) -> None:
        self._bucket, prefix = settings.storage_bucket
        self._prefix = f"{prefix}/" if prefix else ""
        # A session of its own: boto3's shared one is not safe to use from several threads, a client is.
        session = boto3.session.Session(
            aws_access_key_id=settings.s3_access_key_id or None,
            aws_secret_access_key=settings.s3_secret_access_key.get_secret_value() or None,
            region_name=settings.s3_region or None,
        )
        config = Config(
            signature_version="s3v4",
            connect_timeout=connect_seconds,
            read_timeout=read_seconds,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=_CONNECTIONS,
            # Other providers do not know Amazon's newest checksums, and most have no host name for each bucket.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
        )
        self._client: Any = session.client("s3", endpoint_url=settings.s3_endpoint_url or None, config=config)

    def write(self, key: str, pieces: Iterable[bytes]) -> Written:
        """Upload a new file, in parts when it is large."""
        name = self._name(key)
        source = _Source(pieces)
        with self._outage():
            self._client.upload_fileobj(io.BufferedReader(source), self._bucket, name, Config=_TRANSFER)
        return Written(key=key, size=source.size, sha256=source.sha256)

    @contextmanager
    def open(self, key: str, *, start: int = 0, size: int | None = None) -> Iterator[BinaryIO]:
        """Open a file for reading; what follows the part that is asked for is not transferred."""
        body = self._body(self._name(key), start, size)

        def read(wanted: int) -> bytes:
            with self._outage():
                return bytes(body.read(wanted))

        with closing(body), io.BufferedReader(Part(read, size=size)) as part:
            yield part

    def delete(self, key: str) -> None:
        """Delete a file."""
        name = self._name(key)
        with self._outage():
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def keys(self, *, written_before: datetime) -> Iterator[str]:
        """Yield the keys page by page, in the order that a bucket has; what is no key of ours is left alone."""
        for key, written_at in self._listed(""):
            if is_key(key) and written_at < written_before:
                yield key

    def kept(self, folder: str) -> Iterator[str]:
        """Yield the keys of what is kept in a folder, in the order that a bucket has."""
        yield from (key for key, _ in self._listed(f"kept/{folder}/") if is_kept(key))

    def path(self, key: str) -> None:
        """Return None: no server of this machine finds the file."""
        check_key(key)

    def link(self, key: str, *, name: str, content_type: str, seconds: int) -> str:
        """Return a signed address, by which the bucket itself serves the file under its name and type."""
        asked = {"Bucket": self._bucket, "Key": self._name(key), "ResponseContentType": content_type}
        if name:
            asked["ResponseContentDisposition"] = attachment(name)
        with self._outage():
            return str(self._client.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds))

    def check(self) -> None:
        """Check that the bucket can be reached by this login."""
        with self._outage():
            self._client.head_bucket(Bucket=self._bucket)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _listed(self, begin: str) -> Iterator[tuple[str, datetime]]:
        """Yield what begins so, with the time of its writing, page by page."""
        token: dict[str, str] = {}
        while True:
            with self._outage():
                page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix + begin, **token)
            for found in page.get("Contents", ()):
                yield found["Key"].removeprefix(self._prefix), found["LastModified"]
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _body(self, name: str, start: int, size: int | None) -> Any:
        """Return the body of the part, to be read and closed."""
        asked = {"Bucket": self._bucket, "Key": name}
        last = "" if size is None else start + max(size, 1) - 1
        with self._outage():
            try:
                return self._client.get_object(**asked, Range=f"bytes={start}-{last}")["Body"]
            except ClientError as error:
                if error.response["Error"]["Code"] == _BEYOND_THE_END:
                    return io.BytesIO()
                raise

    @contextmanager
    def _outage(self) -> Iterator[None]:
        """Raise the client's errors as those of the tree.

        Raises:
            NotFoundError: there is no such file.
            UnavailableError: the bucket cannot be reached, or refuses.
        """
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _MISSING and error.operation_name != "HeadBucket":
                raise NotFoundError("the file is missing in the storage") from None
            detail = f"the bucket {self._bucket} refused {error.operation_name}: {code}; see the runbook, storage"
            raise UnavailableError(detail) from error
        except BotoCoreError as error:
            detail = f"the bucket {self._bucket} failed: {error}; see the runbook, storage"
            raise UnavailableError(detail) from error


class _Source(io.RawIOBase):
    """The pieces of a file as the client reads them, with their size and digest so far."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._pieces, self._rest = iter(pieces), memoryview(b"")
        self._digest, self.size = hashlib.sha256(), 0

    @property
    def sha256(self) -> str:
        """Return the hexadecimal digest of what was read."""
        return self._digest.hexdigest()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read into the buffer, as much as fits of the next piece; 0 at the end."""
        view = memoryview(buffer).cast("B")
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._digest.update(piece)
            self.size += len(piece)
            self._rest = memoryview(piece)
        taken = self._rest[: len(view)]
        view[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
