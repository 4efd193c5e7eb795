"""Retention of every table: importing this module collects the rules that the modules `retention` declare."""

import moneyflow
from moneyflow.platform.modules import import_named
from moneyflow.platform.retention import purge

import_named("retention", package=moneyflow)

__all__ = ["purge"]
