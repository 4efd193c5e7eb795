"""Payments: charged once by the payment provider, and kept in the books as transactions."""
