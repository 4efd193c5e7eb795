"""The sizes of uploads, which the API's own server, the resources and nginx (`ops/docker/nginx`) have in common."""

from collections.abc import Mapping
from typing import Final

MIB: Final = 1024 * 1024
IMPORT_BYTES: Final = 64 * MIB
AVATAR_BYTES: Final = 8 * MIB

#: Bytes of the largest body by method and path, of the routes that take files.
LARGEST: Mapping[tuple[bytes, bytes], int] = {
    (b"POST", b"/v1/imports"): IMPORT_BYTES,
    (b"PUT", b"/v1/users/me/avatar"): AVATAR_BYTES,
}
