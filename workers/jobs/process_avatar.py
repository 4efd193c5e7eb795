"""`process_avatar`: make the avatar of a user from the image that they have uploaded."""

from moneyflow.accounts import avatars
from moneyflow.gateways.storage import Storage
from moneyflow.jobs.process_avatar import ProcessAvatar
from workers.handlers import Cancel, Context, Result, handles


@handles(ProcessAvatar)
def process_avatar(context: Context, job: ProcessAvatar, storage: Storage) -> Result:
    """Make it; why an image is refused is a result too, for the one who has uploaded it."""
    made = avatars.process(context.session, storage, user_id=job.user_id, file_id=job.file_id)
    return Cancel("a newer image has replaced it, or the account was deleted") if made is None else made
