-- name: verifications
-- How jobs have ended by now, in the order of the ids.
select jobs.id, state, error_class, error_message
from unnest(%(ids)s::uuid[]) with ordinality as asked (id, position) join jobs using (id) order by asked.position;
