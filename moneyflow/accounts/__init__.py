"""Accounts: users, their passwords and tokens, and the mails to them."""
