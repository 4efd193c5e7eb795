"""The job store: a job's life in SQL, one module and one `.sql` file for each part of it."""
