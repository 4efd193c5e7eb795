"""Statements: files of banks are read into transactions."""
