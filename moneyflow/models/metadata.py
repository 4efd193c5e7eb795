"""The tables of all models as SQLAlchemy sees them, for migrations and for the test that compares the two."""

from sqlmodel import SQLModel

import moneyflow.models  # noqa: F401 - importing the package declares its tables

METADATA = SQLModel.metadata
