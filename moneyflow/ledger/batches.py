"""How a batch ends, which the relay finds out on a connection of its own, and how its members are cancelled."""

from pathlib import Path

from moneyflow.database import load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
