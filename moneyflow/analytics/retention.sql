-- name: counted
-- Forget what was counted long enough ago; the counts stay.
delete from analytics.counted where (generation, day, token) in (
    select generation, day, token from analytics.counted
    where generation = (select current from analytics.generations where part = 'people')
        and day < current_date - %(kept)s
    limit %(limit)s);
