"""Personal data of accounts: the profile, and what is kept about the mails to the person. Secrets are left out."""

from pathlib import Path

from moneyflow.platform.personal_data import Part, declare
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

declare(Part(table="users", query=_QUERIES["users"]))
declare(Part(table="user_tokens", query=_QUERIES["user_tokens"]))
declare(Part(table="sent_mails", query=_QUERIES["sent_mails"]))
declare(Part(table="mail_suppressions", query=_QUERIES["mail_suppressions"]))
declare(Part(table="email_changes", query=_QUERIES["email_changes"]))
