"""Statements: bank statements that come in, and exports that go out."""
