"""Money: categories and transactions, with exact amounts in the currencies of ISO 4217."""
