"""SQLAlchemy metadata of every table: for migrations, and for the test that compares the two."""

import importlib
import pkgutil

from sqlmodel import SQLModel

import moneyflow

#: A package or module of this name declares tables.
_MODELS = "models"

for _module in pkgutil.walk_packages(moneyflow.__path__, "moneyflow."):
    if _MODELS in _module.name.split("."):
        importlib.import_module(_module.name)

METADATA = SQLModel.metadata
