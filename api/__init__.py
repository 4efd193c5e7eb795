"""The HTTP interface: it checks a request, writes it in one transaction, and answers. `app.py` is the map of routes."""
