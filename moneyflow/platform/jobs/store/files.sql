-- name: store
-- Insert the result file of a job, in the transaction that ends the job.
insert into job_files (id, job_id, name, content_type, size, sha256, content)
values (%(id)s, %(job_id)s, %(name)s, %(content_type)s, %(size)s, %(sha256)s, %(content)s);

-- name: file
-- A file with its content.
select id, name, content_type, sha256, content from job_files where id = %(id)s;
