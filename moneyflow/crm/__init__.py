"""CRM sync: who has changed, what is sent of whom when, and how the CRM compares with us."""
