"""What the relay asks and tells Postgres; it runs these on its one asynchronous connection (`workers/relay/`)."""

from pathlib import Path

from moneyflow.database import load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
