"""The contracts of all events: type, version, topic, key and data of each.

Importing this package fills the registry: an event is one class in a file here. Take `event_topics` from here as well:
only after this import it knows the topics of the application.
"""

import importlib
import pkgutil

from moneyflow.platform.events.contract import Event, registry
from moneyflow.platform.events.topics import event_topics

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

__all__ = ["Event", "event_topics", "registry"]
