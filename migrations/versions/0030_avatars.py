"""Avatars: the image that waits to be processed, and the processed one."""

from alembic import context, op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_UP = """
alter table users
    add column avatar_upload_id uuid,
    add column avatar_key text;
"""

_GRANTS = """
grant update (avatar_upload_id, avatar_key, version, updated_at) on users to {worker};
"""


def upgrade() -> None:
    """Add the columns, and grant the rights on them."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop them; the files stay."""
    op.execute(
        "revoke update (version, updated_at) on users from {worker};"
        "alter table users drop column avatar_upload_id, drop column avatar_key".format(
            **context.config.attributes["roles"]
        )
    )
