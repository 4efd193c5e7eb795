"""The revisions, oldest first. What has landed is never changed."""
