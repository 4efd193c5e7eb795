"""Retention of imports: their counts and refused rows for 90 days; transactions and the keys of entries stay.

The uploaded file of an import is deleted with the import's end. One whose import has not ended is kept for 30 days, by
the time in its row (`imports.UPLOADS_KEPT`); its import then says that the file has to be sent again. The keys go with
the account: without them an entry would be added again when it comes again.
"""

from datetime import timedelta
from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

IMPORTS_KEPT = timedelta(days=90)

declare(Rule(table="imports", query=_QUERIES["imports"], parameters=lambda _: {"kept": IMPORTS_KEPT}))
