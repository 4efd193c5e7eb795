"""`create_user`: make the account of an invited person, and mail the invitation."""

from moneyflow.accounts import invitations
from moneyflow.jobs.create_user import CreateUser
from workers.handlers import Context, Result, handles


@handles(CreateUser)
def create_user(context: Context, job: CreateUser) -> Result:
    """Make the account, unless the address has one by now: then the batch names the line as refused."""
    return invitations.accept(context.session, job.invitation_id)
