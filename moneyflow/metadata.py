"""SQLAlchemy metadata of every table: for migrations, and for the test that compares the two."""

from sqlmodel import SQLModel

import moneyflow
from moneyflow.platform.modules import import_named

import_named("models", package=moneyflow)

METADATA = SQLModel.metadata
