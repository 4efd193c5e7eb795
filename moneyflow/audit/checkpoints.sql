-- name: heads
-- The heads of all chains, in the order of their names.
select topic, partition, height, head_hash as hash from audit.chains order by topic, partition;
