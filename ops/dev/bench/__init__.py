"""Benchmarks: all systems in one run on the same servers; read the ratios, not the absolute figures."""
