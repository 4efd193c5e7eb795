"""Operations on the items of any source: an item is a source's id with a guard, and verbs are the sources' own."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UP = """
alter table operations drop constraint operations_verb_check, add column sources text[];
update operations set
    sources = case when filter ? 'refused' then array['refused_messages'] else array['jobs'] end,
    filter = case when filter ? 'refused' then
        filter - 'refused' - 'fingerprints' || case when filter -> 'fingerprints' <> '[]'
            then jsonb_build_object('ids', filter -> 'fingerprints') else '{}' end
    else filter end;
-- The restore of another operation restored its messages too.
update operations set sources = array['jobs', 'refused_messages'] where filter ? 'operation';
alter table operations alter column sources set not null;

drop index operation_items_job_idx;
alter table operation_items rename column message to content;
alter table operation_items add column source text, add column item_id text, add column guard text;
update operation_items set source = 'jobs', item_id = job_id::text, guard = fence::text where job_id is not null;
-- The name of a message, as the application computes it of its id and its bytes.
update operation_items item set source = 'refused_messages', item_id = left(encode(sha256(
        int4send(octet_length(named.id)) || named.id || decode(item.content ->> 'body', 'base64')), 'hex'), 12)
from (
    select operation_id, position, convert_to(coalesce(content -> 'properties' ->> 'message_id', ''), 'UTF8') as id
    from operation_items where job_id is null
) named
where item.operation_id = named.operation_id and item.position = named.position;
alter table operation_items alter column source set not null, alter column item_id set not null,
    drop column job_id, drop column fence;
create index operation_items_item_idx on operation_items (item_id, source);
"""

_DOWN = """
drop index operation_items_item_idx;
alter table operation_items rename column content to message;
alter table operation_items add column job_id uuid, add column fence bigint;
update operation_items set job_id = item_id::uuid, fence = guard::bigint where source = 'jobs';
-- Of other sources, and of messages that were not found, the former schema could keep nothing.
delete from operation_items where source <> 'jobs' and message is null;
alter table operation_items drop column source, drop column item_id, drop column guard;
create index operation_items_job_idx on operation_items (job_id);

delete from operations where verb not in ('replay', 'discard', 'restore');
update operations set filter = filter - 'ids' || jsonb_build_object('refused', true, 'fingerprints',
    coalesce(filter -> 'ids', '[]')) where sources = array['refused_messages'];
alter table operations drop column sources,
    add constraint operations_verb_check check (verb in ('replay', 'discard', 'restore'));
"""


def upgrade() -> None:
    """Turn jobs and messages into items of their sources."""
    op.execute(_UP)


def downgrade() -> None:
    """Turn items back into jobs and messages."""
    op.execute(_DOWN)
