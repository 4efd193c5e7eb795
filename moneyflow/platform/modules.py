"""Module collection: imports the modules of one name all over a package, so that what they declare is registered."""

import importlib
import pkgutil
from types import ModuleType


def import_named(name: str, *, package: ModuleType) -> None:
    """Import every module or package `name` inside `package`, at any depth, with all that is in it."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if name in module.name.split("."):
            importlib.import_module(module.name)
