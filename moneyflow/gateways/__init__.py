"""Gateways to outside services: for each a protocol, its adapters, one for tests, and one conformance suite."""
