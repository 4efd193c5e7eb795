-- name: make
-- Make the partitions of this month and the next three, where they are missing.
select audit.make_partitions() as made;
