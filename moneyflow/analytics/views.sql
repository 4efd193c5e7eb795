-- name: funnel
-- The latest days of sign-up, each with how far its people came.
select day, signed_up, activated, with_transaction from analytics.funnel order by day desc limit %(limit)s;

-- name: days
-- The counts of the latest days.
select day, what, count from analytics.days
where day in (select distinct day from analytics.days order by day desc limit %(limit)s)
order by day desc, what;
