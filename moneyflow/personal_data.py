"""Personal data of every table: importing this module collects the parts that the modules `personal_data` declare."""

import moneyflow
from moneyflow.platform.modules import import_named
from moneyflow.platform.personal_data import left_out, registry

import_named("personal_data", package=moneyflow)

__all__ = ["left_out", "registry"]
