"""`/v1/users/me/avatar`: the caller's avatar."""

from itertools import chain

import falcon

from api.answers import Accepted, accepted, send
from api.bodies import LimitedStream
from api.descriptions import RawBody, describes
from api.guards import caller_of, signed_in
from api.limits import UPLOADS, ClientLimits
from api.upload_sizes import AVATAR_BYTES
from moneyflow.accounts import avatars
from moneyflow.accounts.avatar_images import MEDIA_TYPES, media_type_of
from moneyflow.gateways.storage import Storage, new_key
from moneyflow.platform.database import Database
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.http.answers import Answer

_DONE = Answer(status=204)


class OwnAvatar:
    """The caller's avatar."""

    def __init__(self, database: Database, storage: Storage, limits: ClientLimits) -> None:
        self._database = database
        self._storage = storage
        self._limits = limits

    @signed_in
    @describes(
        "change_avatar", body=RawBody(MEDIA_TYPES), answers={202: Accepted}, limited=True, errors=(NotFoundError,)
    )
    def on_put(self, request: falcon.Request, response: falcon.Response) -> None:
        """Make an image the avatar: 202 with the job that scales it; the body is the image itself, of up to 8 MiB.

        The job's result is the `avatar_url`, or says in `refused` why the image cannot be an avatar. The avatar is a
        WebP of 512 by 512 pixels; smaller ones have `-256` and `-64` before the `.webp` of its address.
        """
        user_id = caller_of(request).user_id
        self._limits.check_network(request, response, UPLOADS)
        self._limits.check_address(UPLOADS, str(user_id))
        pieces = LimitedStream(request, AVATAR_BYTES).pieces()
        head = next(pieces, b"")
        media_type = media_type_of(head)
        if media_type is None:
            raise falcon.HTTPUnsupportedMediaType(description="send a PNG, JPEG, GIF or WebP image as the body itself")
        written = self._storage.write(new_key("private"), chain([head], pieces))
        with self._database.transaction() as session:
            job_id = avatars.upload(session, written, user_id=user_id, content_type=media_type)
        send(request, response, accepted(job_id))

    @signed_in
    @describes("delete_avatar", answers={204: None}, errors=(NotFoundError,))
    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        """Delete the avatar: 204, also where there is none."""
        with self._database.transaction() as session:
            avatars.remove(session, self._storage, caller_of(request).user_id)
        send(request, response, _DONE)
