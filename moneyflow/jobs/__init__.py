"""The contracts of all jobs: payload, kind, version, priority and policy of each.

Importing this package fills the registry: a job is one file here and its handler in `workers/jobs/`.
"""

import importlib
import pkgutil

from moneyflow.platform.jobs.contract import Job, registry

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

__all__ = ["Job", "registry"]
