"""The resources of the HTTP interface, one noun a file."""
