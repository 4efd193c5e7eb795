"""The contracts of all events: type, version, topic, key and data of each.

Importing this package fills the registry: an event is one class in a file here.
"""

import importlib
import pkgutil

from moneyflow.platform.events.contract import Event, registry

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

__all__ = ["Event", "registry"]
