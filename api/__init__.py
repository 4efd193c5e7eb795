"""HTTP interface: checks a request, writes it in one transaction, and answers. The routes are in `app.py`."""
