-- name: store
-- Insert the result file of a job, in the transaction that ends the job.
insert into job_files (id, job_id, name, content_type, size, sha256, content)
values (%(id)s, %(job_id)s, %(name)s, %(content_type)s, %(size)s, %(sha256)s, %(content)s);

-- name: file
-- A file with its content, for the owner of its job and for administrators.
select file.id, file.name, file.content_type, file.sha256, file.content
from job_files file join jobs on jobs.id = file.job_id
where file.id = %(id)s and (jobs.owner_id = %(owner_id)s or %(sees_all)s);
