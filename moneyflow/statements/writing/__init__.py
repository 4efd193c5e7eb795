"""Writing: transactions as the files that people download, CSV and PDF."""
